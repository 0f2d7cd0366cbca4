// The page's own program: a chat as its query says. It tells `finish`, which its opener provides, how it went.

import { CometD } from "cometd";

import { chat, configure } from "/cometd.mjs";

// What the conversation, which runs under Node as well, calls when something does not come.
globalThis.process = { exit: (code) => finish(code === 0 ? "held" : "not held") };

const query = new URLSearchParams(location.search);
const [url, service, transport] = ["url", "service", "transport"].map((name) => query.get(name));

const cometd = new CometD();
configure(cometd, url, transport);
const { refused, disconnected } = await chat(cometd, service);
finish(refused ? "handshake failed" : disconnected ? "held" : "not held");
