//! A task metadata endpoint, version 4, that serves what it is given and can be told to fail.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::http::Message;
use super::repository;
use super::scripted::Server;

/// The two documents, or what comes instead of them.
#[derive(Clone)]
pub struct Documents {
    pub task: Message,
    pub stats: Message,
}

impl Documents {
    /// Those of tests/ecs, with every `from` replaced by `to`.
    pub fn of(platform: &str, replace: &[(&str, &str)]) -> Documents {
        let read = |kind: &str| {
            let path = repository(&format!("tests/ecs/{platform}.{kind}.json"));
            let mut text = std::fs::read_to_string(path).unwrap();
            for (from, to) in replace {
                text = text.replace(from, to);
            }
            Message::response(200, text).with("content-type", "application/json")
        };
        Documents { task: read("task"), stats: read("stats") }
    }
}

/// The endpoint of one task.
pub struct Metadata {
    server: Server,
    documents: Arc<Mutex<Documents>>,
    task_id: String,
}

impl Metadata {
    pub fn start(task_id: &str, documents: Documents) -> Metadata {
        Metadata::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), task_id, documents)
    }

    pub fn start_on(listener: TcpListener, task_id: &str, documents: Documents) -> Metadata {
        let documents = Arc::new(Mutex::new(documents));
        let shared = Arc::clone(&documents);
        let server = Server::start_on(listener, move |stream, _| answer(&stream, &shared));
        Metadata { server, documents, task_id: task_id.to_owned() }
    }

    /// The value of ECS_CONTAINER_METADATA_URI_V4.
    pub fn uri(&self) -> String {
        self.server.url(&format!("/v4/{}-1000000009", self.task_id))
    }

    /// Serves these from here on.
    pub fn serve(&self, documents: Documents) {
        *self.documents.lock().unwrap() = documents;
    }
}

fn answer(stream: &TcpStream, documents: &Mutex<Documents>) -> std::io::Result<()> {
    let (mut input, mut output) = (BufReader::new(stream), stream);
    while let Some(request) = Message::read(&mut input)? {
        let documents = documents.lock().unwrap().clone();
        let message = match request.target() {
            path if path.ends_with("-1000000009/task") => documents.task,
            path if path.ends_with("-1000000009/task/stats") => documents.stats,
            _ => Message::response(404, ""),
        };
        message.write(&mut output)?;
    }
    Ok(())
}
