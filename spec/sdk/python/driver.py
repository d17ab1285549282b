"""centrifuge-python, driven line by line: spec/support/sdk.lua says what the lines are."""

import asyncio
import json
import sys

from centrifuge import Client, ClientEventHandler, ReplyError, StreamPosition, SubscriptionEventHandler


def tell(on, **what):
    sys.stdout.write(json.dumps({"on": on, **what}) + "\n")
    sys.stdout.flush()


class ClientEvents(ClientEventHandler):
    def __init__(self, driver):
        self.driver = driver

    async def on_connecting(self, ctx):
        tell("connecting", code=ctx.code, reason=ctx.reason)

    async def on_connected(self, ctx):
        tell("connected", data=self.driver.decode(ctx.data))

    async def on_disconnected(self, ctx):
        tell("disconnected", code=ctx.code, reason=ctx.reason)

    async def on_subscribed(self, ctx):
        tell("server_subscribed", channel=ctx.channel, data=self.driver.decode(ctx.data), recovered=ctx.recovered)

    async def on_publication(self, ctx):
        data = self.driver.decode(ctx.pub.data)
        tell("server_publication", channel=ctx.channel, data=data, offset=ctx.pub.offset)


class SubscriptionEvents(SubscriptionEventHandler):
    def __init__(self, driver, channel):
        self.driver = driver
        self.channel = channel

    async def on_subscribing(self, ctx):
        tell("subscribing", channel=self.channel, code=ctx.code, reason=ctx.reason)

    async def on_subscribed(self, ctx):
        at = ctx.stream_position
        tell("subscribed", channel=self.channel, data=self.driver.decode(ctx.data), recovered=ctx.recovered,
             was_recovering=ctx.was_recovering, epoch=at and at.epoch, offset=at and at.offset)

    async def on_unsubscribed(self, ctx):
        tell("unsubscribed", channel=self.channel, code=ctx.code, reason=ctx.reason)

    async def on_publication(self, ctx):
        tell("publication", channel=self.channel, data=self.driver.decode(ctx.pub.data), offset=ctx.pub.offset)

    async def on_error(self, ctx):
        tell("sub_error", channel=self.channel, code=ctx.code, message=str(ctx.error))


class Driver:
    def __init__(self):
        self.client = None
        self.token = ""
        self.protobuf = False
        self.subs = {}
        self.tickets = {}

    # The SDK gives and takes bytes with protobuf, and values with JSON.
    def decode(self, data):
        if not self.protobuf or data is None:
            return data
        return json.loads(data) if data else None

    def encode(self, data):
        return json.dumps(data).encode() if self.protobuf else data

    async def get_token(self):
        tell("token_asked")
        return self.token

    async def connect(self, step):
        self.protobuf = step.get("protobuf", False)
        self.token = step.get("token", "")
        self.client = Client(step["url"], events=ClientEvents(self), token=self.token,
                             get_token=self.get_token if self.token else None, use_protobuf=self.protobuf,
                             min_reconnect_delay=0.05, max_reconnect_delay=0.5, proxy=None)
        await self.client.connect()

    async def set_token(self, step):
        self.token = step["token"]

    async def set_ticket(self, step):
        self.tickets[step["channel"]] = step["ticket"]

    async def get_ticket(self, channel):
        tell("ticket_asked", channel=channel)
        return self.tickets[channel]

    async def subscribe(self, step):
        channel = step["channel"]
        ticket = step.get("ticket", "")
        if ticket:
            self.tickets[channel] = ticket
        if channel not in self.subs:
            self.subs[channel] = self.client.new_subscription(
                channel, events=SubscriptionEvents(self, channel), token=ticket,
                get_token=self.get_ticket if ticket else None, min_resubscribe_delay=0.05,
                max_resubscribe_delay=0.5)
        await self.subs[channel].subscribe()

    async def unsubscribe(self, step):
        await self.subs[step["channel"]].unsubscribe()

    async def publish(self, step):
        await self.client.publish(step["channel"], self.encode(step["data"]))
        return {}

    async def rpc(self, step):
        result = await self.client.rpc(step["method"], self.encode(step.get("data")))
        return {"data": self.decode(result.data)}

    async def history(self, step):
        since = StreamPosition(**step["since"]) if "since" in step else None
        result = await self.client.history(
            step["channel"], limit=step["limit"], since=since, reverse=step.get("reverse", False)
        )
        found = [{"data": self.decode(one.data), "offset": one.offset} for one in result.publications]
        return {"data": found, "offset": result.offset, "epoch": result.epoch}

    async def disconnect(self, _):
        await self.client.disconnect()

    async def act(self, step):
        name = step["do"]
        try:
            answer = await getattr(self, f"set_{name}" if name in ("token", "ticket") else name)(step)
            if answer is not None:
                tell("answer", id=step["id"], **answer)
        except ReplyError as error:
            tell("error", id=step.get("id"), code=error.code, message=error.message)
        except Exception as error:  # pylint: disable=broad-except
            tell("error", id=step.get("id"), code=0, message=repr(error))


async def main():
    driver = Driver()
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()
    while line := await reader.readline():
        task = asyncio.create_task(driver.act(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())
