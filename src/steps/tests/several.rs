//! Labs of several nodes: what each node is given, and which steps there are.

use super::*;

/// A node of a lab with `control_planes` control planes and one worker.
fn of_several(control_planes: usize, index: usize, emulated: bool) -> NodeFiles {
    let address = |index: usize| format!("192.168.157.{}", 11 + index);
    let others = (0..=control_planes).filter(|other| *other != index);
    let peers = (0..control_planes).filter(|other| *other != index && control_planes > 1);
    let values = NodeValues {
        node_name: format!("node{}", index + 1),
        node_role: if index < control_planes { "control-plane".into() } else { "worker".into() },
        first: index == 0,
        node_ip: address(index),
        node_pods: format!("10.244.{index}.0/24"),
        routes: others.map(|other| Route { pods: format!("10.244.{other}.0/24"), via: address(other) }).collect(),
        api_address: if control_planes > 1 { "192.168.157.10".into() } else { address(0) },
        control_plane_peers: peers.map(address).collect(),
        api_priority: 200 - u32::try_from(index).unwrap(),
        single_node: false,
        ..values(emulated)
    };
    NodeFiles::render(&values).unwrap()
}

#[test]
fn a_cluster_begins_on_the_first_node_and_the_others_join() {
    let (first, worker) = (of_several(1, 0, false), of_several(1, 1, false));
    assert_eq!(first.get("files/kubeadm-join.yaml"), None);
    assert_eq!(worker.get("files/kubeadm.yaml"), None);
    assert_eq!(worker.get("files/keepalived.conf"), None);
    insta::assert_snapshot!("join_worker", worker.get("files/kubeadm-join.yaml").unwrap());
    assert_eq!(worker.get("files/routes").unwrap().trim(), "10.244.0.0/24 192.168.157.11");
    assert!(worker.get("files/cni.conflist").unwrap().contains("10.244.1.0/24"));
}

#[test]
fn one_more_worker_leaves_the_control_plane_as_it_is() {
    let alone = NodeFiles::render(&values(false)).unwrap();
    let grown = of_several(1, 0, false);
    assert_eq!(alone.get("files/kubeadm.yaml"), grown.get("files/kubeadm.yaml"));
    assert_eq!(alone.get("files/cni.conflist"), grown.get("files/cni.conflist"));
    assert_eq!(alone.get("files/routes"), None);
}

#[test]
fn control_planes_share_an_address() {
    let (first, second) = (of_several(3, 0, false), of_several(3, 1, false));
    insta::assert_snapshot!("init_ha", first.get("files/kubeadm.yaml").unwrap());
    insta::assert_snapshot!("join_control_plane", second.get("files/kubeadm-join.yaml").unwrap());
    insta::assert_snapshot!("keepalived", second.get("files/keepalived.conf").unwrap());
    // Emulated too, nobody may hold a lease alone that others wait for.
    let emulated = of_several(3, 0, true);
    assert!(!emulated.get("files/kubeadm.yaml").unwrap().contains("{ name: leader-elect, value"));
    assert!(!emulated.get("files/kubeadm.yaml").unwrap().contains("APIServerIdentity"));
}

#[test]
fn emulated_control_planes_wait_for_etcd_and_let_it_go_first() {
    let requests = |control_planes: usize, emulated: bool| -> Vec<String> {
        let files = of_several(control_planes, 0, emulated);
        let text = |part: &str| files.get(&format!("files/patches/{part}.yaml")).unwrap().to_owned();
        ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
            .iter()
            .filter_map(|part| Some(text(part).split_once("requests: { cpu: ")?.1.split_once(' ')?.0.to_owned()))
            .collect()
    };
    assert_eq!(requests(3, true), ["500m", "100m", "25m", "25m"]);
    assert_eq!((requests(1, true), requests(3, false)), (Vec::new(), Vec::new()));
    let says = |control_planes, setting: &str| {
        of_several(control_planes, 0, true).get("files/kubeadm.yaml").unwrap().contains(setting)
    };
    assert_eq!((says(3, "etcd-readycheck-timeout"), says(1, "etcd-readycheck-timeout")), (true, false));
    // A member that forgets what it voted for cannot come back.
    assert_eq!((says(3, "unsafe-no-fsync"), says(1, "unsafe-no-fsync")), (false, true));
}

#[test]
fn steps_that_a_lab_has_no_use_for_are_left_out() {
    let of = |roles: &[Role]| -> Vec<&'static str> {
        let node = &profile::default_profile().nodes()[0];
        let specs: Vec<NodeSpec> = (1..)
            .zip(roles)
            .map(|(number, role)| NodeSpec { name: format!("node{number}"), role: *role, ..node.clone() })
            .collect();
        let left_out = all().into_iter().filter(|step| !step.concerns(&specs)).map(|step| step.name());
        // Of CRI-O: see only_one_manager_is_set_up.
        left_out.filter(|name| !["install_crio", "load_images"].contains(name)).collect()
    };
    use Role::{ControlPlane, Worker};
    // A box of ours has all of it inside.
    let existing = ["install_packages", "deliver_programs"];
    let besides = |others: &[&'static str]| [&existing, others].concat();
    assert_eq!(of(&[ControlPlane]), besides(&["share_api_address", "join_control_planes", "join_workers"]));
    assert_eq!(of(&[ControlPlane, Worker]), besides(&["share_api_address", "join_control_planes"]));
    assert_eq!(of(&[ControlPlane; 3]), besides(&["join_workers"]));

    let mut profile = profile::default_profile();
    profile.provider = profile::Provider::Hosts;
    profile.groups[0].addresses = vec!["192.0.2.10".parse().unwrap()];
    let left_out = all().into_iter().filter(|step| !step.concerns(&profile.nodes()));
    let names: Vec<&str> = left_out.map(|step| step.name()).collect();
    let none = ["install_crio", "load_images", "share_api_address", "join_control_planes", "join_workers"];
    assert_eq!(names, none);
}
