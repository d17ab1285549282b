/* plan.h - what one run of the load is to do: the arguments NAME=VALUE, read and checked.
 *
 * Ownership  strings belong to argv.
 * Threads    constant after plan_read.
 * Units      in the names; rates are events a second.
 * Errors     a plan that makes no sense ends the program with a sentence.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <netinet/in.h>
#include <stdbool.h>

#include "load/protocol.h"

enum {
    PLAN_TOPIC_BYTES = 64,
};

typedef struct plan {
    const protocol *protocol;  /* protocol=leat */
    struct sockaddr_in server; /* port=N, of 127.0.0.1 */
    int pid;                   /* pid=N: the process that is measured */
    int beside;                /* beside=N: another one, whose use counts, too; 0: none */
    bool tls;                  /* tls=1: the clients speak TLS, and trust any certificate */
    int clients;               /* clients=N */
    int topics;                /* topics=N */
    int subscriptions;         /* subscriptions=N: of one client, to neighbouring topics */
    int at_once;               /* at_once=N: handshakes that run at the same time */
    int addresses;             /* addresses=N: 127.0.0.2, 127.0.0.3, … that clients come from */
    int settle_ms;      /* settle_ms=N: the quiet time before memory is read, and before events */
    bool leave;         /* leave=1: a client that is subscribed leaves, and the next one comes */
    const char *topic;  /* topic=bare: — the name before the number */
    int events;         /* events=N: 0, only the handshakes are measured */
    double rate;        /* rate=N: 0, as fast as the window allows */
    int per_commit;     /* per_commit=N: events of one transaction, or of one write */
    int window;         /* window=N: events that may be on their way; 0, any number */
    bool backlog;       /* backlog=1: the server is stopped until all events are committed */
    int body_bytes;     /* body=N: the padding of one event */
    int missed;         /* missed=N: clients resume, and have missed N events. 0: they do not */
    const char *epoch;  /* epoch=…: they resume from this one, and there is no scout; or NULL */
    int since;          /* since=N: at that seq */
    bool listen;        /* listen=1: how long NOTIFY itself takes is measured beside the clients */
    const char *driver; /* driver=sql|notify|both|pipe|http|centrifugo|nats */
    const char *target; /* target=…: where it publishes: a database, a pipe, a port */
    const char *database; /* database=URL, for listen */
    const char *metrics;  /* metrics=leat_a_total,leat_b: read from the server, before and after */
} plan;

void plan_read(plan *p, char **argv);

/* The name of a topic, from 0. */
void plan_topic(const plan *p, int index, char out[PLAN_TOPIC_BYTES]);

/* The topic of an event: the topics take turns in a scattered order. */
int plan_topic_of_event(const plan *p, int event);

/* How many clients have this topic. */
int plan_subscribers(const plan *p, int topic);

#endif
