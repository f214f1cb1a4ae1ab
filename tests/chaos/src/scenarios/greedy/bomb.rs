//! What a page can do to a machine.

use serde_json::json;
use wharf_testkit::Cdp;

/// How the session has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, for its memory.
    OutOfMemory,
    /// Only when it is asked to.
    Released,
    /// The same, unless Chromium gives up before, or all of it together is too much memory.
    AnyOfItsOwn,
}

/// A page that takes something without end.
#[derive(Debug)]
pub struct Bomb {
    pub name: &'static str,
    pub end: End,
    script: &'static str,
    /// In how many tabs.
    tabs: usize,
}

/// In the order in which they go off. In a script, `PORT` is the site's.
pub const ALL: &[Bomb] = &[
    Bomb {
        name: "memory in one page",
        end: End::OutOfMemory,
        // Filled, because untouched pages are not there.
        script: "globalThis.kept = []; const more = () => { kept.push(new Uint8Array(16 << 20).fill(1)); setTimeout(more); }; more();",
        tabs: 0,
    },
    Bomb {
        name: "memory in many tabs",
        end: End::OutOfMemory,
        script: "globalThis.kept = new Uint8Array(100 << 20).fill(1);",
        tabs: 8,
    },
    Bomb {
        name: "threads without end",
        end: End::AnyOfItsOwn,
        script: "const source = URL.createObjectURL(new Blob(['setInterval(() => {}, 1000)'])); globalThis.kept = []; \
                 const more = () => { kept.push(new Worker(source)); setTimeout(more); }; more();",
        tabs: 0,
    },
    Bomb {
        name: "a full disk",
        end: End::Released,
        script: "(async () => { const folder = await navigator.storage.getDirectory(); const chunk = new Uint8Array(8 << 20).fill(1); \
                 for (let number = 0; ; number++) { try { const file = await folder.getFileHandle('file-' + number, { create: true }); \
                 const writer = await file.createWritable(); await writer.write(chunk); await writer.close(); } \
                 catch { await new Promise(done => setTimeout(done, 50)); } } })();",
        tabs: 0,
    },
    Bomb {
        name: "10,000 sockets",
        end: End::Released,
        script: "globalThis.kept = []; for (let number = 0; number < 10000; number++) \
                 kept.push(number % 2 ? new WebSocket('ws://127.0.0.1:PORT/hold') : fetch('http://127.0.0.1:PORT/hold?' + number).catch(() => 0));",
        tabs: 0,
    },
    Bomb {
        name: "every core busy",
        end: End::Released,
        script: "const source = URL.createObjectURL(new Blob(['for (;;);'])); globalThis.kept = []; \
                 for (let number = 0; number < 16; number++) kept.push(new Worker(source));",
        tabs: 0,
    },
];

impl Bomb {
    /// Sets it off. It may be over before this is.
    pub async fn light(&self, client: &mut Cdp, port: u16) -> anyhow::Result<()> {
        let script = self.script.replace("PORT", &port.to_string());
        if self.tabs == 0 {
            client
                .evaluate(&format!("setTimeout(() => {{ {script} }}); 0"))
                .await?;
        }
        for _ in 0..self.tabs {
            // The session may have ended.
            let page = format!("data:text/html,<script>{script}</script>");
            if client
                .call("Target.createTarget", json!({ "url": page }))
                .await
                .is_err()
            {
                break;
            }
        }
        Ok(())
    }
}
