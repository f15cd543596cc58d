//! Values that mean harm, through everything that is rendered and into the
//! programs that read it: each arrives as it is, and nothing is run. Profiles
//! refuse such names long before; this is what holds if they did not.

use super::*;
use crate::process::{self, Cmd};
use crate::ui::Mode;

/// Tries to leave a file `pwned` where it is read, in every language there is.
const HOSTILE: [&str; 10] = [
    "a'; system('touch pwned'); '",
    "a' + `touch pwned` + '",
    "#{system(\"touch pwned\")}",
    "$(touch pwned)`touch pwned`",
    "\"; touch pwned; \"",
    "back\\slash\\'",
    "two\nlines: [x]\n- y",
    "{a: b} # & * ! | > ' \" % @",
    "{{ 7 * 7 }}{% raw %}",
    "é\u{202e}&amp;<!--",
];

fn session(dir: &Path, value: &str) -> Session {
    let loaded = profile::load(&Sources::default(), &|_| None).unwrap();
    let mut nodes = loaded.profile.nodes();
    nodes[0].name = value.to_owned();
    nodes[0].mac = value.to_owned();
    let mut session = Session::open(&Sources::default(), &Ui::new(Mode::Plain)).unwrap();
    session.lab = Lab::below(dir, value);
    session.nodes = nodes;
    session
}

/// Runs a program in `dir` and makes sure that it did no harm.
fn run(dir: &Path, program: &str, script: &str) -> String {
    let option = if program == "ruby" { "-e" } else { "-c" };
    let text = Cmd::new(program).args([option, script]).dir(dir).read().unwrap();
    assert!(!dir.join("pwned").exists(), "harm was done");
    text
}

#[test]
fn bash_reads_hostile_values_as_they_are() {
    for value in HOSTILE {
        let dir = tempfile::tempdir().unwrap();
        let files = session(dir.path(), value).node_files(true).unwrap();
        std::fs::write(dir.path().join("node.env"), files[0].get("node.env").unwrap()).unwrap();
        let read = run(dir.path(), "bash", "set -eu; source ./node.env; printf '%s|%s|end' \"$LAB\" \"$NODE_NAME\"");
        assert_eq!(read, format!("{value}|{value}|end"));
    }
}

/// Stands in for Vagrant: notes what it is told and runs every block.
const VAGRANT: &str = r#"
require 'json'
$told = []
class Anything
  def method_missing(name, *arguments)
    $told << [name, *arguments].map(&:to_s)
    yield Anything.new, Anything.new if block_given?
    Anything.new
  end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(_) = yield(Anything.new)
  def self.has_plugin?(_) = false
end
ENV.delete('CPUS'); ENV.delete('MEMORY'); ENV.delete('PROVIDER')
ENV['PROVISION_STATE'] = Dir.pwd
load './Vagrantfile'
print JSON.generate($told)
"#;

#[test]
fn ruby_reads_hostile_values_as_they_are() {
    if process::find("ruby").is_none() {
        // It comes with Vagrant; where that is not, nobody reads a Vagrantfile.
        return;
    }
    for value in HOSTILE {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), value);
        std::fs::write(dir.path().join("Vagrantfile"), session.vagrantfile().unwrap()).unwrap();
        std::fs::create_dir(session.lab.dir()).unwrap();
        let machine = r#"{"box": {"name": "b", "version": "1", "url": "u"}, "cmdline": "c"}"#;
        std::fs::write(session.lab.machine_json(), machine).unwrap();
        std::fs::write(session.lab.ssh_key().with_extension("pub"), "ssh-ed25519 AAAA lab\n").unwrap();
        let told: Vec<Vec<String>> = serde_json::from_str(&run(dir.path(), "ruby", VAGRANT)).unwrap();
        let heard = |name: &str| {
            told.iter().find(|words| words[0] == name).map(|words| words[1..].join(" ")).unwrap_or_default()
        };
        assert_eq!(heard("define"), value);
        assert_eq!(heard("title="), format!("provision lab {value}, {value}"));
        assert_eq!(heard("default_prefix="), format!("{value}-"));
        assert_eq!(heard("management_network_mac="), value);
        // VirtualBox's name of the machine.
        assert_eq!(heard("name="), format!("{value}-{value}"));

        let files = session.node_files(true).unwrap();
        std::fs::write(dir.path().join("kubeadm.yaml"), files[0].get("files/kubeadm.yaml").unwrap()).unwrap();
        let script = "require 'yaml'; require 'json'; print JSON.generate(YAML.load_stream(File.read('kubeadm.yaml')))";
        let documents: serde_json::Value = serde_json::from_str(&run(dir.path(), "ruby", script)).unwrap();
        assert_eq!(documents[0]["nodeRegistration"]["name"], value);
        assert_eq!(documents[1]["clusterName"], value);
    }
}

#[test]
fn libvirt_reads_hostile_values_as_they_are() {
    // XML knows neither control characters nor, in attributes, line breaks.
    for value in HOSTILE.into_iter().filter(|value| !value.contains('\n')) {
        let dir = tempfile::tempdir().unwrap();
        let xml = session(dir.path(), value).network_xml().unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let find = |tag: &str| document.descendants().find(|node| node.has_tag_name(tag)).unwrap();
        assert_eq!(find("name").text(), Some(format!("provision-{value}").as_str()));
        assert_eq!(find("host").attribute("name"), Some(value));
        assert_eq!(find("host").attribute("mac"), Some(value));
    }
}

#[test]
fn a_profile_takes_no_such_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.toml");
    for value in HOSTILE.into_iter().chain(["../x", "a/b", ".", "", "-a", "a.b", "A"]) {
        std::fs::write(&path, format!("name = {}\n", toml::Value::String(value.into()))).unwrap();
        let sources = Sources { file: Some(path.clone()), ..Sources::default() };
        assert!(profile::load(&sources, &|_| None).is_err(), "{value}");
    }
}
