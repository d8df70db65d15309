//! A target that refuses everything and says back what it was sent, headers and all.

use crate::company::TOKEN;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub(crate) struct Echo {
    address: SocketAddr,
    heard: Arc<Mutex<String>>,
}

impl Echo {
    /// Serves for as long as the process lives.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<String>>::default();
        let ears = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let ears = Arc::clone(&ears);
                // A client that leaves early has heard enough.
                thread::spawn(move || answer(stream.unwrap(), &ears).unwrap_or_default());
            }
        });
        Self { address, heard }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether some request said so, in whatever case.
    pub(crate) fn heard(&self, text: &str) -> bool {
        self.heard.lock().unwrap().to_lowercase().contains(&text.to_lowercase())
    }
}

fn answer(mut stream: TcpStream, heard: &Mutex<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        if let Some(number) = lower.strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
        request.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.push_str(&String::from_utf8_lossy(&body));
    heard.lock().unwrap().push_str(&request);
    // Only so much of an error is looked at: at its beginning stands the one, or the other.
    let secrets = request.lines().filter(|line| line.contains(TOKEN)).collect::<Vec<_>>().join(" ");
    let body = String::from_utf8_lossy(&body);
    let said =
        if length % 2 == 0 { format!("{secrets} {body}") } else { format!("{body} {secrets}") };
    let body = serde_json::json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "422",
        "scimType": "invalidValue",
        "detail": &said,
        "errors": [&said],
    })
    .to_string();
    write!(
        stream,
        "HTTP/1.1 422 Unprocessable Content\r\ncontent-type: application/scim+json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
