// Headless Chromium with the developer tools that it brings along.

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

/** Where the browser has the pages and modules of its developer tools. */
const DEVTOOLS = "devtools://devtools/bundled";

/** How long a step in the developer tools may take, in milliseconds. */
const STEP = { timeout: 20_000 };

/** The browser with one context. It is `chromium`, or what the environment variable CHROMIUM names. */
export class Browser {
    #profile;
    context;

    /** Starts it; `options` are those of Playwright for a context. */
    static async launch(options = {}) {
        const browser = new Browser();
        browser.#profile = await mkdtemp(join(tmpdir(), "tapestry-chromium-"));
        browser.context = await chromium.launchPersistentContext(browser.#profile, {
            executablePath: process.env.CHROMIUM ?? execFileSync("which", ["chromium"], { encoding: "utf8" }).trim(),
            args: [
                "--no-sandbox",
                "--disable-dev-shm-usage",
                // By which the developer tools look at a page.
                "--remote-debugging-port=0",
                "--remote-allow-origins=devtools://devtools",
            ],
            ...options,
        });
        return browser;
    }

    async close() {
        await this.context.close();
        await rm(this.#profile, { recursive: true, force: true });
    }

    /** Opens the developer tools on a page, or on none. */
    async devtools(page) {
        const query = new URLSearchParams({ panel: "network" });
        if (page) {
            const [port] = (await readFile(join(this.#profile, "DevToolsActivePort"), "utf8")).split("\n");
            const session = await this.context.newCDPSession(page);
            const { targetInfo } = await session.send("Target.getTargetInfo");
            query.set("ws", `127.0.0.1:${port}/devtools/page/${targetInfo.targetId}`);
        }
        const tools = new DevTools(await this.context.newPage());
        await tools.open(`${DEVTOOLS}/devtools_app.html?${query}`);
        return tools;
    }
}

/** The developer tools with their network panel in front. */
class DevTools {
    #page;

    constructor(page) {
        this.#page = page;
    }

    async open(address) {
        // Rows outside the window are not there: it has to be high enough for all of them.
        await this.#page.setViewportSize({ width: 1400, height: 8000 });
        await this.#page.goto(address);
        await this.#page.getByRole("tab", { name: "Network", exact: true }).click(STEP);
        await this.#page.getByRole("button", { name: "Import HAR file" }).waitFor(STEP);
    }

    /** Opens a HAR file with the button for that. */
    async importHar(file) {
        const chooser = this.#page.waitForEvent("filechooser", STEP);
        await this.#page.getByRole("button", { name: "Import HAR file" }).click(STEP);
        await (await chooser).setFiles(file);
        await this.#page.getByText(/^[1-9]\d* requests$/).waitFor(STEP);
    }

    /** Writes what the panel holds as a HAR file: what the button for that writes, which asks a window for the file. */
    async exportHar(file) {
        const text = await this.#page.evaluate(async (devtools) => {
            const [{ Writer }, { NetworkLog }, { Progress }] = await Promise.all(
                ["models/har/har.js", "models/logs/logs.js", "core/common/common.js"].map(
                    (module) => import(`${devtools}/${module}`),
                ),
            );
            const requests = [...NetworkLog.NetworkLog.instance().requests()];
            const progress = new Progress.CompositeProgress(new Progress.Progress());
            return Writer.Writer.harStringForRequests(requests, { sanitize: true }, progress);
        }, DEVTOOLS);
        await writeFile(file, text);
    }

    /** What the panel shows: the number of requests by its own count, and the path of each row. */
    async rows() {
        const count = await this.#page.getByText(/^\d+ requests$/).textContent(STEP);
        const names = this.#page.locator("td.name-column[title]");
        const titles = await names.evaluateAll((cells) => cells.map((cell) => cell.getAttribute("title")));
        return { count: Number.parseInt(count, 10), paths: titles.map((title) => new URL(title).pathname) };
    }

    /** How many messages the panel lists for the socket in the row of this number, with a picture if wanted. */
    async messagesOf(row, screenshot) {
        await this.#page.locator("td.name-column[title]").nth(row).click(STEP);
        await this.#page.getByRole("tab", { name: "Messages" }).click(STEP);
        // Send, receive, error; the word before has changed over the years.
        const rows = this.#page.locator('tr[class*="-view-row-"]');
        await rows.first().waitFor(STEP);
        const count = await rows.count();
        if (screenshot) {
            await this.screenshot(screenshot);
        }
        await this.#page.getByRole("button", { name: "Close", exact: true }).first().click(STEP);
        return count;
    }

    /** What the tools have read of each request. */
    async requests() {
        return this.#page.evaluate(async (devtools) => {
            const { NetworkLog } = await import(`${devtools}/models/logs/logs.js`);
            const requests = NetworkLog.NetworkLog.instance().requests();
            return Promise.all(
                requests.map(async (request) => ({
                    method: request.requestMethod,
                    path: new URL(request.url()).pathname + new URL(request.url()).search,
                    status: request.statusCode,
                    sent: (await request.requestFormData()) ?? "",
                    received: (await request.requestContentData()).text ?? "",
                    frames: request.frames().map((frame) => ({ type: frame.type, opcode: frame.opCode, data: frame.text })),
                })),
            );
        }, DEVTOOLS);
    }

    async screenshot(file) {
        await this.#page.screenshot({ path: file, clip: { x: 0, y: 0, width: 1400, height: 900 } });
    }
}

/** The requests of a page that are not over. */
export class Exchanges {
    #open = new Set();
    #whenOver = [];

    constructor(page) {
        page.on("request", (request) => this.#open.add(request));
        for (const end of ["requestfinished", "requestfailed"]) {
            page.on(end, (request) => this.#end(request));
        }
    }

    #end(request) {
        this.#open.delete(request);
        if (this.#open.size === 0) {
            this.#whenOver.splice(0).forEach((tell) => tell());
        }
    }

    /** Resolves when none is left. */
    async over() {
        if (this.#open.size > 0) {
            await new Promise((tell) => this.#whenOver.push(tell));
        }
    }
}
