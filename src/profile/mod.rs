//! The lab as the user wants it: the TOML profile, checked.
