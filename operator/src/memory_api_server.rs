//! An API server in memory, for tests of what the operator asks of one and in which order. It knows objects by their path,
//! merges patches into them, and can be made to answer nothing but errors. What a real one says is tried on a real one:
//! `tests/operator/tests/api_server`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Method, Request, Response, StatusCode};
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// One of them. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Value>,
    writes: Vec<(Method, String, Value)>,
    /// What requests to paths with this in them are answered with.
    broken: Option<(String, StatusCode)>,
}

impl ApiServer {
    /// With an object at a path, such as `/api/v1/namespaces/default/secrets/demo`.
    pub(crate) fn with(self, path: &str, object: Value) -> Self {
        self.put(path, object);
        self
    }

    /// Replaces an object.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.inner().objects.insert(path.to_owned(), object);
    }

    /// An object as it is now.
    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.inner().objects.get(path).cloned()
    }

    /// The writes to paths with this in them, Events aside: the method, the path and the body.
    pub(crate) fn writes(&self, to: &str) -> Vec<(Method, String, Value)> {
        let writes = self.inner().writes.clone();
        writes
            .into_iter()
            .filter(|(_, path, _)| path.contains(to) && !path.ends_with("/events"))
            .collect()
    }

    /// The reasons of the Events that were written.
    pub(crate) fn events(&self) -> Vec<Value> {
        let writes = self.inner().writes.clone();
        let events = writes
            .into_iter()
            .filter(|(_, path, _)| path.ends_with("/events"));
        events.map(|(_, _, event)| event).collect()
    }

    /// From now on all it says to requests to paths with this in them is that, or not any more.
    pub(crate) fn break_down(&self, to: &str, with: Option<StatusCode>) {
        self.inner().broken = with.map(|with| (to.to_owned(), with));
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (status, answer) = server.answer(&head.method, head.uri.path(), body);
                let answer = Body::from(serde_json::to_vec(&answer).unwrap_or_default());
                let response = Response::builder().status(status).body(answer)?;
                Ok::<_, tower::BoxError>(response)
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, path: &str, body: Value) -> (StatusCode, Value) {
        let mut inner = self.inner();
        if let Some((to, status)) = &inner.broken
            && path.contains(to.as_str())
        {
            return (*status, failure(*status, path));
        }
        if method != Method::GET {
            inner.writes.push((method.clone(), path.to_owned(), body.clone()));
        }
        match *method {
            Method::GET => {
                if let Some(object) = inner.objects.get(path) {
                    return (StatusCode::OK, object.clone());
                }
                let folder = format!("{path}/");
                let inside = inner.objects.iter().filter(|(path, _)| path.starts_with(&folder));
                let items: Vec<_> = inside.map(|(_, object)| object.clone()).collect();
                let plural = path.rsplit('/').next().unwrap_or_default();
                if items.is_empty() && !plural.ends_with('s') {
                    return (StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND, path));
                }
                (
                    StatusCode::OK,
                    json!({"metadata": {"resourceVersion": "1"}, "items": items}),
                )
            }
            Method::PATCH => {
                let path = path.trim_end_matches("/status");
                let object = inner.objects.entry(path.to_owned()).or_insert_with(|| json!({}));
                merge(object, &body);
                (StatusCode::OK, object.clone())
            }
            Method::POST => {
                if let Some(name) = body["metadata"]["name"].as_str() {
                    inner.objects.insert(format!("{path}/{name}"), body.clone());
                }
                (StatusCode::CREATED, body)
            }
            _ => match inner.objects.remove(path) {
                Some(object) => (StatusCode::OK, object),
                None => (StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND, path)),
            },
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// <https://www.rfc-editor.org/rfc/rfc7396>
fn merge(into: &mut Value, patch: &Value) {
    let (Value::Object(into), Value::Object(patch)) = (&mut *into, patch) else {
        *into = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn failure(status: StatusCode, path: &str) -> Value {
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
        "reason": status.canonical_reason().unwrap_or_default().replace(' ', ""),
        "message": format!("{path}: {status}"), "details": {"name": name},
    })
}
