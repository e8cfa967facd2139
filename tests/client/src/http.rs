//! How requests are made.

/// A client for requests to the services and to the management API: no proxy of the environment comes between.
pub fn http() -> reqwest::ClientBuilder {
    // reqwest asks the process for its cryptography, even where all is plain HTTP. It may have been installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}
