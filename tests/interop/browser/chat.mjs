// Holds a whole chat with the official CometD client in a page of headless Chromium, whose origin is not the server's.
//
// usage: node chat.mjs URL SERVICE websocket|long-polling|callback-polling [refused] [--har FILE]
//
// With `--har` everything that the page loads and sends is kept as a HAR.
//
// With `refused` the browser is expected to keep the page from the server, for want of CORS headers: the handshake must
// fail, and must fail in the browser alone, since the server answers the same request without an origin.
//
// Prints one line for each step. Ends with 0 when all came as it should, else with 1 and what did not. The browser is
// `chromium`, or what the environment variable CHROMIUM names.

import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const words = process.argv.slice(2);
const flag = words.indexOf("--har");
const [, har] = flag < 0 ? [] : words.splice(flag, 2);
const [url, service, transport, expected = "served"] = words;
const transports = ["websocket", "long-polling", "callback-polling"];
if (!url || !service || !transports.includes(transport) || !["served", "refused"].includes(expected) || (flag >= 0 && !har)) {
    console.error(`usage: node chat.mjs URL SERVICE ${transports.join("|")} [refused] [--har FILE]`);
    process.exit(2);
}

/** What the page may load, by path. */
const files = {
    "/": [new URL("page.html", import.meta.url), "text/html"],
    "/page.mjs": [new URL("page.mjs", import.meta.url), "text/javascript"],
    "/cometd.mjs": [new URL("../cometd.mjs", import.meta.url), "text/javascript"],
    "/conversation.mjs": [new URL("../conversation.mjs", import.meta.url), "text/javascript"],
};
const library = /^\/cometd\/([A-Za-z0-9]+\.js)$/;

const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    const script = library.exec(path)?.[1];
    const [file, type] = script
        ? [new URL(`node_modules/cometd/${script}`, import.meta.url), "text/javascript"]
        : (files[path] ?? []);
    if (!file) {
        response.writeHead(404).end();
        return;
    }
    response.writeHead(200, { "Content-Type": `${type};charset=UTF-8` }).end(await readFile(fileURLToPath(file)));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? execFileSync("which", ["chromium"], { encoding: "utf8" }).trim(),
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
let code = 1;
try {
    const context = await browser.newContext(har ? { recordHar: { path: har, content: "embed" } } : {});
    const page = await context.newPage();
    const finished = new Promise((resolve) => context.exposeFunction("finish", resolve));
    page.on("console", (message) => console.log(message.text()));
    page.on("pageerror", (error) => console.error(`page: ${error.message}`));
    const query = new URLSearchParams({ url, service, transport });
    await page.goto(`http://127.0.0.1:${server.address().port}/?${query}`);
    const overdue = setTimeout(() => browser.close(), 60_000);
    const outcome = await finished;
    clearTimeout(overdue);
    // The HAR is written now.
    await context.close();
    if (expected === "served") {
        code = outcome === "held" ? 0 : 1;
    } else {
        code = outcome === "handshake failed" && (await answersWithoutOrigin()) ? 0 : 1;
    }
    console.log(outcome);
} catch (error) {
    console.error(`failed: ${error.message}`);
} finally {
    await browser.close();
    server.close();
}
process.exit(code);

/** Whether the server answers the handshake of a client that is no page. */
async function answersWithoutOrigin() {
    const handshake = [
        { channel: "/meta/handshake", version: "1.0", supportedConnectionTypes: ["long-polling"], id: "1" },
    ];
    const reply = await fetch(`${url}/handshake`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(handshake),
    });
    return (await reply.json())[0].successful;
}
