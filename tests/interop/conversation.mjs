// The chat that every JavaScript client holds: start, an agent joins, three messages each way, end.
//
// A client gives it what comes on the service's channel and takes from it what to publish. It prints one line for each
// step; when something does not come within ten seconds, or comes wrong, it ends the process with 1.

export function fail(why) {
    console.error(`failed: ${why}`);
    process.exit(1);
}

export class Conversation {
    #publish;
    #secureKey;
    #lastIndex = 0;
    #waiting = [];

    /** `publish` sends `data` on the service's channel and resolves with what the server said against it, if anything. */
    constructor(publish) {
        this.#publish = publish;
    }

    /** Takes in the `data` of a message on the service's channel. */
    receive(data) {
        this.#secureKey = data.secureKey ?? this.#secureKey;
        if (data.statusCode !== 0) {
            fail(`status code ${data.statusCode}`);
        }
        for (const event of data.messages) {
            if (event.index > this.#lastIndex) {
                this.#lastIndex = event.index;
                console.log(`${event.index} ${event.type} ${event.from.type}`);
                this.#happened(event);
            }
        }
        if (data.chatEnded) {
            console.log("ended");
            this.#happened({ type: "chatEnded" });
        }
    }

    /** Holds the chat; resolves when the server has said that it is over. */
    async hold() {
        const said = (from) => (event) => event.type === "Message" && event.from.type === from;
        const joined = this.#next("an agent", (event) => event.type === "ParticipantJoined" && event.from.type === "Agent");
        const greeted = this.#next("the greeting", said("Agent"));
        await this.#request("requestChat", { nickname: "Ann", subject: "Invoice 1234", userData: { TimeZone: 60 } });
        await joined;
        await greeted;
        for (const message of ["I have a question.", "Where is my invoice?", "Thank you — merci \u{1F600}"]) {
            const echo = this.#next("the echo", said("Client"));
            const answer = this.#next("the answer", said("Agent"));
            await this.#request("sendMessage", { message });
            if ((await echo).text !== message) {
                fail("the echo has other words");
            }
            await answer;
        }
        const ended = this.#next("the end", (event) => event.type === "chatEnded");
        await this.#request("disconnect");
        await ended;
    }

    async #request(operation, members = {}) {
        const secureKey = this.#secureKey && { secureKey: this.#secureKey };
        const error = await this.#publish({ operation, ...secureKey, ...members });
        if (error) {
            fail(`${operation} was not acknowledged: ${error}`);
        }
    }

    /** Resolves with the next event that `wanted` accepts. */
    #next(what, wanted) {
        return new Promise((resolve) => {
            const timer = setTimeout(() => fail(`${what} did not come within 10 s`), 10_000);
            this.#waiting.push({ wanted, resolve: (event) => (clearTimeout(timer), resolve(event)) });
        });
    }

    #happened(event) {
        const position = this.#waiting.findIndex(({ wanted }) => wanted(event));
        if (position >= 0) {
            this.#waiting.splice(position, 1)[0].resolve(event);
        }
    }
}
