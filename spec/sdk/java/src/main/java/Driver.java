// centrifuge-java, driven line by line: spec/support/sdk.lua says what the lines are.

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.centrifugal.centrifuge.Client;
import io.github.centrifugal.centrifuge.ConnectedEvent;
import io.github.centrifugal.centrifuge.ConnectingEvent;
import io.github.centrifugal.centrifuge.ConnectionTokenEvent;
import io.github.centrifugal.centrifuge.ConnectionTokenGetter;
import io.github.centrifugal.centrifuge.DisconnectedEvent;
import io.github.centrifugal.centrifuge.DuplicateSubscriptionException;
import io.github.centrifugal.centrifuge.EventListener;
import io.github.centrifugal.centrifuge.HistoryOptions;
import io.github.centrifugal.centrifuge.Options;
import io.github.centrifugal.centrifuge.StreamPosition;
import io.github.centrifugal.centrifuge.PublicationEvent;
import io.github.centrifugal.centrifuge.ReplyError;
import io.github.centrifugal.centrifuge.ServerPublicationEvent;
import io.github.centrifugal.centrifuge.ServerSubscribedEvent;
import io.github.centrifugal.centrifuge.SubscribedEvent;
import io.github.centrifugal.centrifuge.SubscribingEvent;
import io.github.centrifugal.centrifuge.Subscription;
import io.github.centrifugal.centrifuge.SubscriptionErrorEvent;
import io.github.centrifugal.centrifuge.SubscriptionEventListener;
import io.github.centrifugal.centrifuge.SubscriptionOptions;
import io.github.centrifugal.centrifuge.SubscriptionTokenEvent;
import io.github.centrifugal.centrifuge.SubscriptionTokenGetter;
import io.github.centrifugal.centrifuge.TokenCallback;
import io.github.centrifugal.centrifuge.UnsubscribedEvent;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

public final class Driver {
    private static final Gson GSON = new GsonBuilder().serializeNulls().create();
    private static final Map<String, String> TICKETS = new ConcurrentHashMap<>();
    private static volatile String token;
    private static Client client;

    private static synchronized void tell(String on, Object... what) {
        JsonObject line = new JsonObject();
        line.addProperty("on", on);
        for (int i = 0; i < what.length; i += 2) {
            line.add((String) what[i], GSON.toJsonTree(what[i + 1]));
        }
        System.out.println(GSON.toJson(line));
        System.out.flush();
    }

    private static JsonElement decode(byte[] data) {
        if (data == null || data.length == 0) return JsonNull.INSTANCE;
        return JsonParser.parseString(new String(data, StandardCharsets.UTF_8));
    }

    private static byte[] encode(JsonElement data) {
        return GSON.toJson(data).getBytes(StandardCharsets.UTF_8);
    }

    private static <T> void answer(int id, Throwable error, T result, Function<T, Object> look) {
        if (error != null) {
            tell("error", "id", id, "code", 0, "message", String.valueOf(error));
        } else {
            tell("answer", "id", id, "data", look.apply(result));
        }
    }

    private static boolean refused(int id, Throwable error) {
        if (!(error instanceof ReplyError)) return false;
        ReplyError reply = (ReplyError) error;
        tell("error", "id", id, "code", reply.getCode(), "message", reply.getMessage());
        return true;
    }

    private static final class ClientEvents extends EventListener {
        @Override
        public void onConnecting(Client c, ConnectingEvent e) {
            tell("connecting", "code", e.getCode(), "reason", e.getReason());
        }

        @Override
        public void onConnected(Client c, ConnectedEvent e) {
            tell("connected", "data", decode(e.getData()));
        }

        @Override
        public void onDisconnected(Client c, DisconnectedEvent e) {
            tell("disconnected", "code", e.getCode(), "reason", e.getReason());
        }

        @Override
        public void onSubscribed(Client c, ServerSubscribedEvent e) {
            tell("server_subscribed", "channel", e.getChannel(), "data", decode(e.getData()), "recovered",
                e.getRecovered());
        }

        @Override
        public void onPublication(Client c, ServerPublicationEvent e) {
            tell("server_publication", "channel", e.getChannel(), "data", decode(e.getData()), "offset",
                e.getOffset());
        }
    }

    private static final class SubscriptionEvents extends SubscriptionEventListener {
        @Override
        public void onSubscribing(Subscription s, SubscribingEvent e) {
            tell("subscribing", "channel", s.getChannel(), "code", e.getCode(), "reason", e.getReason());
        }

        @Override
        public void onSubscribed(Subscription s, SubscribedEvent e) {
            tell("subscribed", "channel", s.getChannel(), "data", decode(e.getData()), "recovered",
                e.getRecovered(), "was_recovering", e.wasRecovering());
        }

        @Override
        public void onUnsubscribed(Subscription s, UnsubscribedEvent e) {
            tell("unsubscribed", "channel", s.getChannel(), "code", e.getCode(), "reason", e.getReason());
        }

        @Override
        public void onPublication(Subscription s, PublicationEvent e) {
            tell("publication", "channel", s.getChannel(), "data", decode(e.getData()), "offset", e.getOffset());
        }

        @Override
        public void onError(Subscription s, SubscriptionErrorEvent e) {
            tell("sub_error", "channel", s.getChannel(), "message", String.valueOf(e.getError()));
        }
    }

    private static void connect(JsonObject step) {
        Options options = new Options();
        options.setMinReconnectDelay(50);
        options.setMaxReconnectDelay(500);
        if (step.has("token")) {
            token = step.get("token").getAsString();
            options.setToken(token);
            options.setTokenGetter(new ConnectionTokenGetter() {
                @Override
                public void getConnectionToken(ConnectionTokenEvent event, TokenCallback callback) {
                    tell("token_asked");
                    callback.Done(null, token);
                }
            });
        }
        client = new Client(step.get("url").getAsString(), options, new ClientEvents());
        client.connect();
    }

    private static void askForTickets(SubscriptionOptions options, String ticket) {
        options.setToken(ticket);
        options.setTokenGetter(new SubscriptionTokenGetter() {
            @Override
            public void getSubscriptionToken(SubscriptionTokenEvent event, TokenCallback callback) {
                tell("ticket_asked", "channel", event.getChannel());
                callback.Done(null, TICKETS.get(event.getChannel()));
            }
        });
    }

    private static void subscribe(String channel, String ticket) throws DuplicateSubscriptionException {
        Subscription known = client.getSubscription(channel);
        if (ticket != null) TICKETS.put(channel, ticket);
        if (known == null) {
            SubscriptionOptions options = new SubscriptionOptions();
            options.setMinResubscribeDelay(50);
            options.setMaxResubscribeDelay(500);
            if (ticket != null) askForTickets(options, ticket);
            known = client.newSubscription(channel, options, new SubscriptionEvents());
        }
        known.subscribe();
    }

    private static void history(int id, String channel, JsonObject step) {
        HistoryOptions.Builder builder = new HistoryOptions.Builder().withLimit(step.get("limit").getAsInt());
        if (step.has("reverse")) builder.withReverse(step.get("reverse").getAsBoolean());
        if (step.has("since")) {
            JsonObject since = step.getAsJsonObject("since");
            builder.withSince(new StreamPosition(since.get("offset").getAsLong(), since.get("epoch").getAsString()));
        }
        HistoryOptions options = builder.build();
        client.history(channel, options, (error, result) -> {
            if (refused(id, error)) return;
            Object[] found = result.getPublications().stream().map(one -> {
                JsonObject publication = new JsonObject();
                publication.add("data", decode(one.getData()));
                publication.addProperty("offset", one.getOffset());
                return publication;
            }).toArray();
            tell("answer", "id", id, "data", found, "offset", result.getOffset(), "epoch", result.getEpoch());
        });
    }

    private static void act(JsonObject step) throws DuplicateSubscriptionException {
        String channel = step.has("channel") ? step.get("channel").getAsString() : null;
        String ticket = step.has("ticket") ? step.get("ticket").getAsString() : null;
        int id = step.has("id") ? step.get("id").getAsInt() : 0;
        switch (step.get("do").getAsString()) {
            case "connect":
                connect(step);
                break;
            case "token":
                token = step.get("token").getAsString();
                break;
            case "ticket":
                TICKETS.put(channel, ticket);
                break;
            case "subscribe":
                subscribe(channel, ticket);
                break;
            case "unsubscribe":
                client.getSubscription(channel).unsubscribe();
                break;
            case "publish":
                client.publish(channel, encode(step.get("data")), (error, result) -> {
                    if (!refused(id, error)) answer(id, error, result, none -> null);
                });
                break;
            case "rpc":
                client.rpc(step.get("method").getAsString(), encode(step.get("data")), (error, result) -> {
                    if (!refused(id, error)) answer(id, error, result, found -> decode(found.getData()));
                });
                break;
            case "history":
                history(id, channel, step);
                break;
            case "disconnect":
                client.disconnect();
                break;
            default:
                throw new IllegalArgumentException(step.toString());
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            act(JsonParser.parseString(line).getAsJsonObject());
        }
        System.exit(0);
    }
}
