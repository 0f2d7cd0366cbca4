// CometD's own server for Node with its default settings, of no use but to be judged. It knows long-polling alone.
//
// usage: node server.mjs PORT
//
// Port 0 takes any. The first line says where it listens. SIGTERM ends it with 0.

import http from "node:http";

import cometd from "cometd-nodejs-server";

const mount = "/genesys/cometd";
const bayeux = cometd.createCometDServer();
const server = http.createServer((request, response) => {
    // It serves every path by itself, which no deployed server does.
    if (request.url === mount || request.url.startsWith(`${mount}/`)) {
        bayeux.handle(request, response);
    } else {
        response.writeHead(404).end();
    }
});
process.once("SIGTERM", () => process.exit(0));
server.listen(Number(process.argv[2]), "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}${mount}`);
});
