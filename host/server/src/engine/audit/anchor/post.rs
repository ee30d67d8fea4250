//! One POST to an address in the web, with a bound on everything: how long it takes and how much comes back.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::{HeaderValue, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mendwright_core::code::Code;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::view::problem::Problem;

/// From the first packet to the last. A witness writes to its disk before it answers.
const POST_MAX: Duration = Duration::from_secs(10);

/// What is read of an answer: a witness's is a few lines.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) kind: String,
    pub(super) body: String,
}

/// Hands a checkpoint to an address: any answer that means success is its word that it has it.
pub(super) async fn checkpoint(url: &Uri, note: &str) -> Result<(), Problem> {
    let answer = post(url, note.to_owned()).await?;
    if answer.status.is_success() { Ok(()) } else { Err(refused(url, &answer)) }
}

pub(super) fn refused(url: &Uri, answer: &Answer) -> Problem {
    let said = mendwright_core::text::escape_short(answer.body.lines().next().unwrap_or_default().trim(), 200);
    let problem = unavailable(url, &format!("it answered {}", answer.status));
    if said.is_empty() { problem } else { problem.detail(said) }
}

fn unavailable(url: &Uri, why: &str) -> Problem {
    Problem::new(Code::AnchorUnavailable, format!("{url} did not take a checkpoint: {why}"))
        .detail("what it did not take is not anchored there; a running host tries again")
        .next("mendwright audit checkpoint", "tries now")
}

/// Posts a text and reads the answer, whatever it says.
pub(super) async fn post(url: &Uri, text: String) -> Result<Answer, Problem> {
    match tokio::time::timeout(POST_MAX, exchange(url, text)).await {
        Ok(answered) => answered.map_err(|why| unavailable(url, &why)),
        Err(_) => Err(unavailable(url, &format!("no answer within {} s", POST_MAX.as_secs()))),
    }
}

async fn exchange(url: &Uri, text: String) -> Result<Answer, String> {
    let is_clear = url.scheme_str() == Some("http");
    let authority = url.authority().ok_or("its address has no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if is_clear { 80 } else { 443 });
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    // One request: held back for more it would only be late.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let request = request(url, text).map_err(|error| error.to_string())?;
    if is_clear {
        return over(stream, request).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(roots()?).connect(name, stream).await.map_err(|error| error.to_string())?;
    over(stream, request).await
}

fn request(url: &Uri, text: String) -> Result<Request<Full<Bytes>>, ::http::Error> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().map_or("", |authority| authority.as_str());
    Request::post(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("mendwright/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
        .body(Full::new(Bytes::from(text)))
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let failed = |error: hyper::Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asked = async {
        let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok(Answer { status: head.status, kind: kind.to_owned(), body })
    };
    // The connection ends with whoever asks: nothing of it is left behind.
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        ended = &mut connection => match ended {
            Ok(()) => asked.await,
            Err(error) => Err(failed(error)),
        },
    }
}

/// TLS with the certificates that this machine trusts.
fn roots() -> Result<Arc<ClientConfig>, String> {
    static ROOTS: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let load = || {
        let mut roots = RootCertStore::empty();
        let (found, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if found == 0 {
            return Err("this machine trusts no certificate: where its roots are, SSL_CERT_FILE says".to_owned());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    };
    ROOTS.get_or_init(load).clone()
}
