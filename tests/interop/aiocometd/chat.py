"""Holds a whole chat with aiocometd: start, an agent joins, three messages each way, end. Needs Python 3.11.

usage: python chat.py URL SERVICE websocket|long-polling

aiocometd always shakes hands by long-polling and then moves to the transport that was asked for.

Prints one line for each step. Ends with 0 when the server has confirmed the end of the chat and of the session, else
with 1 and the step that did not come.
"""

import asyncio
import sys

from aiocometd_ng import Client, ConnectionType, Extension

PATIENCE = 10


class Failure(Exception):
    """The step that did not come, or came wrong."""


class Conversation:
    """One chat on the service's channel."""

    def __init__(self, client, channel):
        self.client = client
        self.channel = channel
        self.secure_key = None
        self.last_index = 0
        self.come = []

    async def request(self, operation, **members):
        """Publishes an operation; the server must acknowledge it."""
        if self.secure_key:
            members["secureKey"] = self.secure_key
        await self.client.publish(self.channel, {"operation": operation, **members})

    async def take(self, what, wanted):
        """Gives the next event that is wanted; what comes before it may be wanted later."""
        async with asyncio.timeout(PATIENCE) as patience:
            try:
                while True:
                    for position, event in enumerate(self.come):
                        if wanted(event):
                            return self.come.pop(position)
                    self.receive((await self.client.receive())["data"])
            except TimeoutError as late:
                raise Failure(f"{what} did not come within {PATIENCE} s") from late

    def receive(self, data):
        self.secure_key = data.get("secureKey", self.secure_key)
        if data["statusCode"] != 0:
            raise Failure(f"status code {data['statusCode']}")
        for event in data["messages"]:
            if event["index"] > self.last_index:
                self.last_index = event["index"]
                print(event["index"], event["type"], event["from"]["type"])
                self.come.append(event)
        if data["chatEnded"]:
            print("ended")
            self.come.append({"type": "chatEnded"})

    async def hold(self):
        """Holds the chat; returns when the server has said that it is over."""
        await self.request("requestChat", nickname="Ann", subject="Invoice 1234", userData={"TimeZone": 60})
        await self.take("an agent", comes_from("Agent", "ParticipantJoined"))
        await self.take("the greeting", comes_from("Agent", "Message"))
        for message in ["I have a question.", "Where is my invoice?", "Thank you — merci \U0001f600"]:
            await self.request("sendMessage", message=message)
            echo = await self.take("the echo", comes_from("Client", "Message"))
            if echo["text"] != message:
                raise Failure("the echo has other words")
            await self.take("the answer", comes_from("Agent", "Message"))
        await self.request("disconnect")
        await self.take("the end", lambda event: event["type"] == "chatEnded")


class Farewell(Extension):
    """Sees the answer to the disconnect, which aiocometd keeps to itself."""

    confirmed = False

    async def incoming(self, payload, headers=None):
        for message in payload:
            if message["channel"] == "/meta/disconnect":
                self.confirmed = message.get("successful", False)

    async def outgoing(self, payload, headers):
        pass


def comes_from(party, kind):
    return lambda event: event["type"] == kind and event["from"]["type"] == party


def report(loop, context):
    """Leaves out that the connects which aiocometd cancels at the end were cancelled."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def main(url, service, transport):
    asyncio.get_running_loop().set_exception_handler(report)
    # Its cookie jar keeps none for addresses that are numbers, and the server wants its cookie back.
    url = url.replace("127.0.0.1", "localhost")
    farewell = Farewell()
    # Watching for lost connections passes an event loop where Python 3.10 and later take none.
    options = {"connection_timeout": 0, "extensions": [farewell]}
    async with Client(url, ConnectionType(transport), **options) as client:
        print("connected", client.connection_type.value)
        await Conversation(client, f"/service/chatV2/{service}").hold()
    print("disconnected", farewell.confirmed)
    return farewell.confirmed


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[3] not in ("websocket", "long-polling"):
        print("usage: python chat.py URL SERVICE websocket|long-polling", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(0 if asyncio.run(main(*sys.argv[1:])) else 1)
    except Exception as error:
        print(f"failed: {error!r}", file=sys.stderr)
        sys.exit(1)
