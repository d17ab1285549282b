/* main.c - one run of the load: many clients of one server, and what that server used.
 *
 *   load protocol=leat port=N pid=N clients=N … (plan.h has all arguments)
 *
 * First all clients connect and subscribe; then, if events=N, that many are published and every
 * delivery is awaited. With missed=N a scout subscribes, N events are published, and all others
 * resume from where the scout began; with epoch=… they resume from a position of an earlier server.
 * One line of JSON is printed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/tool.h"
#include "load/crowd.h"
#include "load/listener.h"
#include "load/metrics.h"
#include "load/plan.h"
#include "load/publisher.h"
#include "load/report.h"

enum {
    OTHER_FILES = 64,
};

typedef struct run {
    plan plan;
    meter meter;
    crowd crowd;
    publisher publisher;
    listener listener;
    report report;
} run;

static bool has_all_missed(const crowd *c)
{
    return c->caught_up >= (uint64_t)c->plan->missed * (uint64_t)c->subscribed;
}

static bool has_all_events(const crowd *c)
{
    return c->meter->delivered >= c->meter->expected;
}

/* The scout's subscribe tells the position; then it hears what the others will have missed. */
static void miss_events(run *r)
{
    publisher p = {.plan = &r->plan, .meter = &r->meter, .events = r->plan.missed};
    crowd_connect(&r->crowd, 1);
    publisher_start(&p);
    crowd_until(&r->crowd, has_all_missed, "the scout");
    publisher_join(&p);
    r->crowd.since = r->crowd.heard;
    crowd_idle(&r->crowd, r->plan.settle_ms);
}

static void come_back(run *r)
{
    position *since = &r->crowd.since;
    since->seq = (uint64_t)r->plan.since;
    int n = snprintf(since->epoch, sizeof(since->epoch), "%s", r->plan.epoch);
    if (n >= (int)sizeof(since->epoch))
        tool_fail("an epoch of %d bytes", n);
}

/* They come in tenths, so that it shows whether memory still grows. */
static void let_come_and_go(run *r)
{
    for (int i = 0; i < REPORT_PARTS; i++) {
        crowd_connect(&r->crowd, (int)((long)r->plan.clients * (i + 1) / REPORT_PARTS));
        process_read_memory(r->plan.pid, &r->report.parts[i]);
    }
}

static void connect_all(run *r)
{
    report *out = &r->report;
    if (r->plan.epoch != NULL)
        come_back(r);
    else if (r->plan.missed > 0)
        miss_events(r);
    metrics_read(&out->metrics_before, &r->plan);
    report_sample(&out->start, &r->plan);
    if (r->plan.leave)
        let_come_and_go(r);
    crowd_connect(&r->crowd, r->plan.clients);
    if (r->plan.missed > 0)
        crowd_until(&r->crowd, has_all_missed, "resuming");
    report_sample(&out->connected, &r->plan);
    crowd_idle(&r->crowd, r->plan.settle_ms);
    report_sample(&out->settled, &r->plan);
}

static void expect_events(run *r)
{
    uint32_t *subscribers = tool_calloc((size_t)r->plan.events, sizeof(*subscribers));
    for (int i = 0; i < r->plan.events; i++)
        subscribers[i] = (uint32_t)plan_subscribers(&r->plan, plan_topic_of_event(&r->plan, i));
    meter_expect(&r->meter, r->plan.events, subscribers);
    free(subscribers);
}

static void publish_live(run *r)
{
    report_sample(&r->report.before_events, &r->plan);
    publisher_start(&r->publisher);
    crowd_until(&r->crowd, has_all_events, "events");
    report_sample(&r->report.after_events, &r->plan);
    publisher_join(&r->publisher);
}

/* So the server's speed does not depend on how fast this way of publishing is. */
static void publish_backlog(run *r)
{
    kill(r->plan.pid, SIGSTOP);
    publisher_start(&r->publisher);
    publisher_join(&r->publisher);
    report_sample(&r->report.before_events, &r->plan);
    kill(r->plan.pid, SIGCONT);
    crowd_until(&r->crowd, has_all_events, "the backlog");
    report_sample(&r->report.after_events, &r->plan);
}

static void publish_events(run *r)
{
    expect_events(r);
    r->publisher = (publisher){.plan = &r->plan, .meter = &r->meter, .events = r->plan.events};
    if (r->plan.listen) {
        r->listener.database = r->plan.database;
        listener_start(&r->listener);
        r->report.listener = &r->listener;
    }
    if (r->plan.backlog)
        publish_backlog(r);
    else
        publish_live(r);
    if (r->plan.listen)
        listener_stop(&r->listener);
}

int main(int argc, char **argv)
{
    (void)argc;
    run *r = tool_calloc(1, sizeof(*r));
    signal(SIGPIPE, SIG_IGN);
    plan_read(&r->plan, argv);
    int open_at_once = r->plan.leave ? r->plan.at_once : r->plan.clients;
    tool_need_files((unsigned long)open_at_once + OTHER_FILES);
    r->report.plan = &r->plan;
    r->report.crowd = &r->crowd;
    r->report.meter = &r->meter;
    r->report.publisher = &r->publisher;
    crowd_open(&r->crowd, &r->plan, &r->meter);
    connect_all(r);
    if (r->plan.events > 0)
        publish_events(r);
    metrics_read(&r->report.metrics_after, &r->plan);
    report_print(&r->report);
    crowd_close(&r->crowd);
    free(r->meter.missing);
    free(r->meter.wanted);
    free(r);
    return 0;
}
