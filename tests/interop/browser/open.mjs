// Opens a HAR that was exported from a tape in the developer tools of headless Chromium, by their own button, and holds what
// they show and what they have read against the tape.
//
// usage: node open.mjs TAPE HAR [--screenshot FILE]
//
// Prints how much is shown. Ends with 0 if it is what the tape holds, else with 1 and the first difference.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { Browser } from "./chromium.mjs";

const words = process.argv.slice(2);
const place = words.indexOf("--screenshot");
const [, screenshot] = place < 0 ? [] : words.splice(place, 2);
const [tape, har] = words;
if (!tape || !har || words.length > 2) {
    console.error("usage: node open.mjs TAPE HAR [--screenshot FILE]");
    process.exit(2);
}

let code = 1;
const browser = await Browser.launch();
try {
    const expected = requestsOf(await readFile(tape, "utf8"));
    const devtools = await browser.devtools();
    await devtools.importHar(har);
    assert.deepEqual(await devtools.requests(), expected, "what is read is not what the tape holds");
    // In which order the panel shows requests of one moment is its own affair; that of what it has read was looked at above.
    const paths = expected.map((request) => request.path.split("?")[0]).sort();
    const { count, paths: shown } = await devtools.rows();
    assert.deepEqual({ count, paths: shown.sort() }, { count: paths.length, paths }, "the rows are not those of the tape");
    let messages = 0;
    for (const [row, { frames }] of expected.entries()) {
        if (frames.length > 0) {
            const shown = await devtools.messagesOf(row, screenshot);
            assert.equal(shown, frames.length, `row ${row + 1} shows other messages than the tape holds`);
            messages += shown;
        }
    }
    if (screenshot && messages === 0) {
        await devtools.screenshot(screenshot);
    }
    console.log(`${paths.length} requests and ${messages} WebSocket messages`);
    code = 0;
} catch (error) {
    console.error(`failed: ${error.message}`);
} finally {
    await browser.close();
}
process.exit(code);

/** The requests of a tape in the form in which the developer tools give theirs, by their beginnings. */
function requestsOf(text) {
    const requests = new Map();
    const records = text.split("\n").filter((line) => line.startsWith('{"k"'));
    for (let at = 0; at < records.length; at += 1) {
        const record = JSON.parse(records[at]);
        const request = requests.get(record.x);
        const data = () => carried(record, records.slice(at + 1));
        switch (record.k) {
            case "http.req": {
                const { method, url } = record;
                const { pathname, search } = new URL(url, "http://gms.invalid");
                const path = pathname + search;
                requests.set(record.x, { method, path, status: 0, sent: data(), received: "", frames: [] });
                break;
            }
            case "http.res":
                Object.assign(request, { status: record.status, received: data() });
                break;
            case "ws.open":
                request.status = record.status;
                break;
            case "ws.msg":
                request.frames.push({ type: record.type, opcode: record.opcode, data: data() });
                break;
            case "ws.err":
                request.frames.push({ type: "error", opcode: -1, data: "net::ERR_CONNECTION_RESET" });
                break;
        }
    }
    return [...requests.values()];
}

/** The text that a unit of the tape carries, of which the lines behind it hold the parts as they were. */
function carried(unit, behind) {
    if (unit.body) {
        return JSON.parse(behind[0]).text;
    }
    // The member `m` is the last one, and its text must not be changed.
    const messages = behind.slice(0, unit.msgs).map((line) => line.slice(line.indexOf('"m":') + 4, -1));
    return unit.batch === "array" ? `[${messages.join(",")}]` : messages.join("");
}
