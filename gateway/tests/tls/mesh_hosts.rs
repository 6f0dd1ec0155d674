//! The example `deploy/examples/mtls-pair` as it stands, on two hosts: network namespaces with a cable between them.

use std::{fs, net::TcpListener, path::Path};

use crate::harness::{
    Client, Driver, Gateway, Origin, Port, Ports, Run, mesh::Mesh, namespace::Namespace, on_both_drivers,
    origin::echo, secure::Secure,
};

/// The sidecar of one host with this token, as its README starts it.
fn sidecar(driver: Driver, name: &str, token: &str) -> Gateway {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/mtls-pair");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = fs::read_to_string(examples.join(format!("host-{name}.yaml"))).expect("the example");
    fs::write(folder.path().join("sluice.yaml"), text).expect("a configuration");
    fs::write(folder.path().join(format!("{name}.token")), token).expect("a token");
    let at = |port: u16| Port::at(([127, 0, 0, 1], port).into());
    let ports = Ports {
        admin: at(9901),
        web: at(15001),
    };
    Run::on(driver).start_in(folder, ports)
}

#[test]
fn the_pair_of_the_examples_speaks_mtls_and_keeps_strangers_out() {
    on_both_drivers(|driver| {
        let [a, b] = match Namespace::pair() {
            Ok(hosts) => hosts,
            Err(reason) => {
                println!("no network namespaces here, so not tested: {reason}");
                return;
            }
        };
        let mesh = a.on(|| Mesh::at(([10, 0, 0, 1], 8600).into()));
        let (origin, server) = b.on(|| {
            let listener = TcpListener::bind("127.0.0.1:8080").expect("a port");
            let origin = Origin::over(listener, |mut connection| {
                while let Some(request) = connection.request() {
                    connection.send(echo("orders", &request));
                }
            });
            (
                origin,
                sidecar(driver, "b", &mesh.token("ns/prod/sa/orders", &[])),
            )
        });
        let ask = || Client::connect(([127, 0, 0, 1], 15001).into()).get("orders", "/list");
        let answer = a.on(|| {
            let _shop = sidecar(driver, "a", &mesh.token("ns/prod/sa/shop", &[]));
            ask()
        });
        assert_eq!((answer.status, answer.backend()), (200, "orders"));
        assert_eq!(origin.requests().len(), 1);
        // Of the same mesh, and not the shop.
        let answer = a.on(|| {
            let _stranger = sidecar(driver, "a", &mesh.token("ns/prod/sa/stranger", &[]));
            ask()
        });
        assert_eq!(answer.status, 403);
        // Of no mesh at all.
        let refused = a.on(|| {
            let secure = Secure::believing(&mesh.root(), None).unnamed();
            let session = secure.connect(([10, 0, 0, 2], 15006).into(), "localhost");
            session.and_then(|mut session| session.get("orders", "/"))
        });
        assert!(refused.is_err());
        assert_eq!(
            origin.requests().len(),
            1,
            "the application heard of none of them"
        );
        let denied = b.on(|| {
            let metrics = server.metrics();
            metrics.sum(
                "sluice_policy_decisions_total",
                &[("policy", "the-shop-may-call")],
            )
        });
        assert!(denied >= 1.0, "{denied}");
    });
}
