//! How the services are reached: Services, the Ingress; and what they run as.

use k8s_openapi::{
    api::{
        core::v1::{Service, ServiceAccount, ServicePort, ServiceSpec},
        networking::v1::{
            HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
            IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{deployments::port_name, labels, owned};
use crate::{
    names::{self, Program},
    validate::Validated,
};

/// The Service of a program. Those of gRPC are headless: their clients know all addresses and take
/// turns, where a virtual address would keep each long connection at one pod.
pub(super) fn service(shop: &Validated, program: Program) -> Service {
    Service {
        metadata: owned(shop, names::object(&shop.name, program.name()), program.name()),
        spec: Some(ServiceSpec {
            cluster_ip: (program != Program::ApiGateway).then(|| "None".to_owned()),
            selector: Some(labels(&shop.name, program.name())),
            ports: Some(vec![ServicePort {
                name: Some(port_name(program).to_owned()),
                port: i32::from(program.port()),
                target_port: Some(IntOrString::String(port_name(program).to_owned())),
                app_protocol: (program != Program::ApiGateway).then(|| "kubernetes.io/h2c".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// All gateways by one name, for themselves: each grants a client its share of what it may ask. Those that are not ready
/// yet count too: they will be a moment later.
pub(super) fn gateways(shop: &Validated) -> Service {
    let program = Program::ApiGateway;
    Service {
        metadata: owned(shop, names::object(&shop.name, names::GATEWAYS), program.name()),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(labels(&shop.name, program.name())),
            ports: Some(vec![ServicePort {
                name: Some(port_name(program).to_owned()),
                port: i32::from(program.port()),
                target_port: Some(IntOrString::String(port_name(program).to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// One for each program, without any right.
pub(super) fn service_accounts(shop: &Validated) -> Vec<ServiceAccount> {
    let account = |program: Program| ServiceAccount {
        metadata: owned(shop, names::object(&shop.name, program.name()), program.name()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    Program::ALL.into_iter().map(account).collect()
}

/// The way in from outside the cluster, where one is asked for.
pub(super) fn ingress(shop: &Validated) -> Option<Ingress> {
    let wanted = shop.ingress.as_ref()?;
    let gateway = names::object(&shop.name, Program::ApiGateway.name());
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: gateway.clone(),
                port: Some(ServiceBackendPort {
                    name: Some("http".to_owned()),
                    number: None,
                }),
            }),
            resource: None,
        },
    };
    Some(Ingress {
        metadata: owned(shop, gateway, Program::ApiGateway.name()),
        spec: Some(IngressSpec {
            ingress_class_name: wanted.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(wanted.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls: wanted.tls.as_ref().map(|tls| {
                vec![IngressTLS {
                    hosts: Some(vec![wanted.host.clone()]),
                    secret_name: Some(tls.secret_name.clone()),
                }]
            }),
            ..IngressSpec::default()
        }),
        status: None,
    })
}

/// Where people reach the shop.
pub fn url(shop: &Validated) -> String {
    match &shop.ingress {
        Some(ingress) => {
            let scheme = if ingress.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", ingress.host)
        }
        None => format!("http://{}:8080", super::host(shop, Program::ApiGateway.name())),
    }
}
