/* plan.c - reads the arguments; says which client has which topic, and which event goes where. */
#include "load/plan.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "common/tool.h"

static const int SCATTER = 7919; /* a prime: neighbouring events go to distant topics */

static int whole(char **argv, const char *name, int otherwise)
{
    return (int)tool_number(argv, name, otherwise);
}

static void read_clients(plan *p, char **argv)
{
    p->clients = whole(argv, "clients", 1000);
    p->topics = whole(argv, "topics", 1);
    p->subscriptions = whole(argv, "subscriptions", 1);
    p->at_once = whole(argv, "at_once", 64);
    p->addresses = whole(argv, "addresses", 16);
    p->settle_ms = whole(argv, "settle_ms", 300);
    p->leave = whole(argv, "leave", 0) != 0;
    p->topic = tool_option(argv, "topic", "bare:");
    p->missed = whole(argv, "missed", 0);
    p->epoch = tool_option(argv, "epoch", NULL);
    p->since = whole(argv, "since", 0);
    if (p->clients < 1 || p->topics < 1 || p->subscriptions < 1 || p->at_once < 1)
        tool_fail("clients, topics, subscriptions and at_once are at least 1");
    if (p->subscriptions > p->topics)
        tool_fail("a client cannot subscribe to %d of %d topics", p->subscriptions, p->topics);
    if (p->addresses < 1 || p->addresses > 250)
        tool_fail("addresses is between 1 and 250");
}

static void read_events(plan *p, char **argv)
{
    p->events = whole(argv, "events", 0);
    p->rate = tool_number(argv, "rate", 0);
    p->per_commit = whole(argv, "per_commit", 1);
    p->window = whole(argv, "window", 0);
    p->backlog = whole(argv, "backlog", 0) != 0;
    p->body_bytes = whole(argv, "body", 100);
    p->listen = whole(argv, "listen", 0) != 0;
    p->driver = tool_option(argv, "driver", "sql");
    p->target = tool_option(argv, "target", "");
    p->database = tool_option(argv, "database", p->target);
    p->metrics = tool_option(argv, "metrics", NULL);
    if (p->backlog && p->window > 0)
        tool_fail(
            "backlog and window exclude each other: nothing arrives while the server is stopped");
    if (p->per_commit < 1 || (p->window > 0 && p->window < p->per_commit))
        tool_fail("per_commit is at least 1, and fits the window");
}

void plan_read(plan *p, char **argv)
{
    const char *name = tool_option(argv, "protocol", "leat");
    p->protocol = protocol_find(name);
    if (p->protocol == NULL)
        tool_fail("protocol=%s is not known", name);
    p->server.sin_family = AF_INET;
    p->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->server.sin_port = htons((uint16_t)whole(argv, "port", 0));
    p->pid = whole(argv, "pid", 0);
    p->beside = whole(argv, "beside", 0);
    p->tls = whole(argv, "tls", 0) != 0;
    if (p->server.sin_port == 0 || p->pid == 0)
        tool_fail("port=N and pid=N are needed");
    read_clients(p, argv);
    read_events(p, argv);
}

void plan_topic(const plan *p, int index, char out[PLAN_TOPIC_BYTES])
{
    snprintf(out, PLAN_TOPIC_BYTES, "%s%d", p->topic, index + 1);
}

int plan_topic_of_event(const plan *p, int event)
{
    return (int)((int64_t)event * SCATTER % p->topics);
}

int plan_subscribers(const plan *p, int topic)
{
    int64_t all = (int64_t)p->clients * p->subscriptions;
    return (int)(all / p->topics) + (topic < all % p->topics ? 1 : 0);
}
