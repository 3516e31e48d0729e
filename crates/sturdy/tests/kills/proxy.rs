//! A way between two kernels that can be cut.

use crate::kernel::HOST;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Hands connections on to a port of this machine.
pub struct Proxy {
    port: u16,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    accepted: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let accepted: Arc<AtomicUsize> = Arc::default();
        let proxy = Self { port, streams: Arc::clone(&streams), accepted: Arc::clone(&accepted) };
        thread::spawn(move || {
            for here in listener.incoming() {
                let here = here.unwrap();
                // Nobody there: the connection ends at once.
                let Ok(there) = TcpStream::connect((HOST, target)) else { continue };
                accepted.fetch_add(1, Ordering::Relaxed);
                let ends = [here, there];
                streams.lock().unwrap().extend(ends.iter().map(|end| end.try_clone().unwrap()));
                let [here, there] = ends;
                hand_on(here.try_clone().unwrap(), there.try_clone().unwrap());
                hand_on(there, here);
            }
        });
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that were handed on since the beginning.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Ends all connections, wherever they are.
    pub fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ended_already = stream.shutdown(Shutdown::Both);
        }
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _cut = io::copy(&mut from, &mut to);
        let _ended = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
