// The pages that a browser loads, on a port of their own: an origin that is not the server's.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** What a page may load, by path. */
const files = {
    "/": [new URL("page.html", import.meta.url), "text/html"],
    "/page.mjs": [new URL("page.mjs", import.meta.url), "text/javascript"],
    "/cometd.mjs": [new URL("../cometd.mjs", import.meta.url), "text/javascript"],
    "/conversation.mjs": [new URL("../conversation.mjs", import.meta.url), "text/javascript"],
};
const library = /^\/cometd\/([A-Za-z0-9]+\.js)$/;

/** Serves the pages; `address` gives that of the page that holds a chat, `close` ends it. */
export async function serve() {
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
    return {
        address: (query) => `http://127.0.0.1:${server.address().port}/?${new URLSearchParams(query)}`,
        close: () => server.close(),
    };
}
