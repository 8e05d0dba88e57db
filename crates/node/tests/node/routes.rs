//! The table of routes, the router and the description are one and the same.

use api::{Method, ROUTES};
use reqwest::{Client, Response};

use crate::network::Network;

async fn request(network: &Network, method: &str, path: &str) -> Response {
    let method = method.parse().unwrap();
    Client::new().request(method, network.url(path)).send().await.unwrap()
}

async fn code(response: Response) -> String {
    let body: serde_json::Value = response.json().await.unwrap();
    body["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_served_and_nothing_else() {
    let network = Network::start().await;
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "x");
        let allowed = |name: &str| {
            ROUTES.iter().any(|other| {
                other.path == route.path
                    && (other.method.name() == name
                        // HTTP: whoever serves GET serves HEAD.
                        || (name == "HEAD" && other.method == Method::Get))
            })
        };
        for method in methods {
            let response = request(&network, method, &path).await;
            let status = response.status().as_u16();
            assert_eq!(status != 405, allowed(method), "{method} {path}: {status}");
            assert!(status < 500, "{method} {path}: {status}");
            assert!(!response.headers().contains_key("access-control-allow-origin"));
            if status == 405 && method != "HEAD" {
                assert_eq!(code(response).await, "route/method");
            }
        }
    }
    for path in ["/v1", "/v1/", "/v2/network", "/v1/network/", "/index.html", "/v1/content/"] {
        let response = request(&network, "GET", path).await;
        assert_eq!(response.status().as_u16(), 404, "{path}");
        assert_eq!(code(response).await, "route/unknown", "{path}");
    }
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_the_node_is_served() {
    let network = Network::start().await;
    network.account(1).await;
    let get = async |path: &str| {
        let response = request(&network, "GET", path).await;
        assert!(response.status().is_success(), "{path}");
        response
    };
    let described: serde_json::Value = get("/v1/openapi.json").await.json().await.unwrap();
    assert_eq!(described, api::openapi());
    assert!(get("/healthz").await.text().await.unwrap().starts_with("ok "));
    let metrics = get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("idlewild_earning_units{class=\"job\"} 0"), "{metrics}");
    let page = get("/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let html = page.text().await.unwrap();
    assert!(html.contains(&format!("<script nonce=\"{nonce}\">")));
    for word in ["claimed", "verified", "earning"] {
        assert!(html.contains(&format!("<th>{word}</th>")), "{word}");
    }
    let network_status = network.client.network().await.unwrap();
    assert_eq!(network_status.root, network.root());
    assert_eq!(network.client.genesis().await.unwrap().hash(), network.genesis);
    assert!(network.client.parameters().await.is_ok());
    network.node.shutdown().await;
}
