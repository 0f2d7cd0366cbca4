// A Faye server with its default settings, of no use but to be judged.
//
// usage: node server.mjs PORT
//
// Port 0 takes any. The first line says where it listens. SIGTERM ends it with 0.

import http from "node:http";

import faye from "faye";

const mount = "/genesys/cometd";
const bayeux = new faye.NodeAdapter({ mount });
const server = http.createServer();
bayeux.attach(server);
process.once("SIGTERM", () => process.exit(0));
server.listen(Number(process.argv[2]), "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}${mount}`);
});
