//! As much of HTTP/1.1 as both ends of a load need, so that neither depends on the code under test.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// A connection and what was read ahead on it.
pub(crate) struct Connection {
    stream: TcpStream,
    ahead: Vec<u8>,
}

/// A request or an answer.
pub(crate) struct Message {
    head: String,
    pub(crate) body: String,
}

impl Message {
    /// The first line.
    pub(crate) fn start(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, ahead: Vec::new() })
    }

    pub(crate) async fn send(&mut self, said: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(said.as_ref()).await
    }

    /// The next request or answer; `None` at the end of the connection.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Message>> {
        const END: &[u8] = b"\r\n\r\n";
        let end = loop {
            if let Some(at) = self.ahead.windows(END.len()).position(|bytes| bytes == END) {
                break at + END.len();
            }
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.ahead[..end]).into_owned();
        self.ahead.drain(..end);
        let mut message = Message { head, body: String::new() };
        let length = message.field("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        while self.ahead.len() < length {
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        message.body = String::from_utf8_lossy(&self.ahead[..length]).into_owned();
        self.ahead.drain(..length);
        Ok(Some(message))
    }

    /// Says that nothing will follow, and gives what the other side still says.
    pub(crate) async fn end(&mut self) -> io::Result<Option<Message>> {
        self.stream.shutdown().await?;
        self.receive().await
    }

    /// Becomes a WebSocket, once the upgrade is agreed.
    pub(crate) async fn upgraded(self, role: Role) -> WebSocketStream<TcpStream> {
        // The library's own buffers would cost more than 100 KiB a socket.
        let config = WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(0);
        WebSocketStream::from_partially_read(self.stream, self.ahead, role, Some(config)).await
    }
}
