//! Endpoints given by name: looked up off the request path, and no start or request waits for a name server.

use crate::harness::{self, Config, Gateway, Origin, on_both_drivers};

fn named(endpoint: &str) -> String {
    format!("services:\n- name: named\n  endpoints: [{{ address: \"{endpoint}\" }}]\n")
}

const ROUTES: &str = "
- name: all
  rules:
  - { matches: [{ path: { prefix: /named } }], backends: [{ service: named }] }
  - { backends: [{ service: v1 }] }
";

#[test]
fn a_name_stands_for_its_addresses() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new()
            .service("v1", &[origin.address()])
            .routes(ROUTES)
            .document(&named(&format!("localhost:{}", origin.address().port())));
        let gateway = Gateway::start(driver, &config);
        harness::eventually("an answer by name", || {
            (gateway.get("h", "/named").status == 200).then_some(())
        });
    });
}

#[test]
fn a_name_that_does_not_exist_takes_nothing_else_with_it() {
    on_both_drivers(|driver| {
        let origin = Origin::echo("v1");
        let config = Config::new()
            .service("v1", &[origin.address()])
            .routes(ROUTES)
            .document(&named("nowhere.invalid:80"));
        let gateway = Gateway::start(driver, &config);
        assert_eq!(gateway.get("h", "/named").status, 503);
        assert_eq!(gateway.logged("/named")["reason"], "no_endpoint");
        assert_eq!(gateway.get("h", "/").backend(), "v1");
        let metrics = gateway.wait_metrics("a failed look-up", |metrics| {
            metrics.sum("sluice_dns_failures_total", &[]) > 0.0
        });
        assert!(metrics.has("sluice_config_generation"));
    });
}
