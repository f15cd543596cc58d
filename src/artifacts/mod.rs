//! What a lab is made of, each piece made once and kept in the cache.
