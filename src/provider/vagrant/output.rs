//! What Vagrant prints: its machine-readable lines, and the cause of a failure
//! among them.

/// A line of `--machine-readable` that is meant for people.
pub(super) struct Said {
    /// What it says.
    pub(super) text: String,
    /// Whether it is an error.
    pub(super) error: bool,
    /// The class of an error, where Vagrant tells it.
    class: Option<String>,
}

/// Fields are `time,target,type,data…`; newlines and commas are escaped
/// (Vagrant's documentation, "Machine Readable Output").
pub(super) fn parse(line: &str) -> Option<Said> {
    let mut fields = line.splitn(4, ',');
    fields.next()?.parse::<u64>().ok()?;
    let (_target, kind, data) = (fields.next()?, fields.next()?, fields.next()?);
    let unescape = |text: &str| text.replace("%!(VAGRANT_COMMA)", ",").replace("\\n", "\n").replace("\\r", "");
    match kind {
        "ui" => {
            let (level, text) = data.split_once(',')?;
            Some(Said { text: unescape(text).trim().to_owned(), error: level == "error", class: None })
        }
        "error-exit" => {
            let (class, text) = data.split_once(',')?;
            Some(Said { text: unescape(text).trim().to_owned(), error: true, class: Some(class.to_owned()) })
        }
        _ => None,
    }
}

/// Finds the cause of a failure: Vagrant's own last error, or else the message
/// in front of Ruby's stack.
#[derive(Default)]
pub(super) struct Cause {
    said: Option<Found>,
    raised: Option<Found>,
}

/// A failure's cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The message.
    pub(super) text: String,
    /// The Ruby class of the error, empty where none was told.
    pub(super) class: String,
}

impl Cause {
    /// Looks at a line of output.
    pub(super) fn see(&mut self, line: &str) {
        if let Some(said) = parse(line) {
            if said.error && !said.text.is_empty() {
                let before = self.said.take().map(|found| found.class).unwrap_or_default();
                self.said = Some(Found { text: said.text, class: said.class.unwrap_or(before) });
            }
            return;
        }
        // `…/file.rb:12:in `call': MESSAGE (Some::Error)`; the stack follows.
        if self.raised.is_none() && !line.trim_start().starts_with("from ") {
            let message = line.split_once(": ").filter(|(place, _)| place.contains(".rb:"));
            if let Some((_, message)) = message.filter(|(_, message)| message.trim_end().ends_with(')')) {
                let text = message.trim().to_owned();
                let class = text.rsplit_once('(').map(|(_, class)| class.trim_end_matches(')').to_owned());
                self.raised = Some(Found { class: class.unwrap_or_default(), text });
            }
        }
    }

    /// The cause, if one was seen.
    pub(super) fn found(self) -> Option<Found> {
        self.said.or(self.raised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_readable_lines_are_unescaped() {
        let said = parse("1700000000,node1,ui,info,==> node1: a%!(VAGRANT_COMMA) b\\nc").unwrap();
        assert_eq!(said.text, "==> node1: a, b\nc");
        assert!(!said.error);
        assert!(parse("1700000000,node1,metadata,provider,libvirt").is_none());
        assert!(parse("just words, and more, and, more").is_none());
    }

    #[test]
    fn the_cause_is_the_message_and_not_the_stack() {
        let mut cause = Cause::default();
        for line in [
            "1700000000,node1,ui,info,Creating domain",
            "/usr/lib/ruby/vendor_ruby/fog/libvirt/requests/compute/vm_action.rb:7:in `create': Call to \
             virDomainCreateWithFlags failed: internal error: no KVM (Libvirt::Error)",
            "\tfrom /usr/lib/ruby/a.rb:7:in `vm_action'",
            "\tfrom /usr/lib/ruby/b.rb: 7 (x)",
        ] {
            cause.see(line);
        }
        let found = cause.found().unwrap();
        assert_eq!(
            (found.class.as_str(), found.text.as_str()),
            ("Libvirt::Error", "Call to virDomainCreateWithFlags failed: internal error: no KVM (Libvirt::Error)")
        );
    }

    #[test]
    fn vagrants_own_error_wins() {
        let mut cause = Cause::default();
        cause.see("1700000000,,error-exit,Vagrant::Errors::BoxChecksumMismatch,The checksum did not match");
        let found = cause.found().unwrap();
        assert_eq!(found.text, "The checksum did not match");
        assert_eq!(found.class, "Vagrant::Errors::BoxChecksumMismatch");
    }
}
