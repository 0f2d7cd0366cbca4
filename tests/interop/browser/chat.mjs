// Holds a whole chat with the official CometD client in a page of headless Chromium, whose origin is not the server's.
//
// usage: node chat.mjs URL SERVICE websocket|long-polling|callback-polling [refused] [--har FILE [--by playwright|devtools]]
//
// With `--har` everything that the page loads and sends is kept as a HAR, which Playwright writes, or the browser's own
// developer tools.
//
// With `refused` the browser is expected to keep the page from the server, for want of CORS headers: the handshake must
// fail, and must fail in the browser alone, since the server answers the same request without an origin.
//
// Prints one line for each step. Ends with 0 when all came as it should, else with 1 and what did not. The browser is
// `chromium`, or what the environment variable CHROMIUM names.

import { Browser, Exchanges } from "./chromium.mjs";
import { serve } from "./site.mjs";

const words = process.argv.slice(2);
const har = option("--har");
const by = option("--by") ?? "playwright";
const [url, service, transport, expected = "served"] = words;
const transports = ["websocket", "long-polling", "callback-polling"];
if (
    !url ||
    !service ||
    !transports.includes(transport) ||
    !["served", "refused"].includes(expected) ||
    !["playwright", "devtools"].includes(by) ||
    har === null
) {
    console.error(`usage: node chat.mjs URL SERVICE ${transports.join("|")} [refused] [--har FILE [--by playwright|devtools]]`);
    process.exit(2);
}

const site = await serve();
const browser = await Browser.launch(har && by === "playwright" ? { recordHar: { path: har, content: "embed" } } : {});
let code = 1;
try {
    const page = await browser.context.newPage();
    const devtools = har && by === "devtools" ? await browser.devtools(page) : null;
    const finished = new Promise((resolve) => page.exposeFunction("finish", resolve));
    page.on("console", (message) => console.log(message.text()));
    page.on("pageerror", (error) => console.error(`page: ${error.message}`));
    const exchanges = new Exchanges(page);
    await page.goto(site.address({ url, service, transport }));
    const overdue = setTimeout(() => browser.close(), 60_000);
    const outcome = await finished;
    // The page is done as soon as it has its last answer; whoever writes the HAR fetches the contents after that.
    await exchanges.over();
    clearTimeout(overdue);
    await devtools?.exportHar(har);
    if (expected === "served") {
        code = outcome === "held" ? 0 : 1;
    } else {
        code = outcome === "handshake failed" && (await answersWithoutOrigin()) ? 0 : 1;
    }
    console.log(outcome);
} catch (error) {
    console.error(`failed: ${error.message}`);
} finally {
    // Playwright writes its HAR now.
    await browser.close();
    site.close();
}
process.exit(code);

/** Takes an option with its value out of the words: `undefined` if it is not there, `null` if its value is not. */
function option(name) {
    const place = words.indexOf(name);
    return place < 0 ? undefined : (words.splice(place, 2)[1] ?? null);
}

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
