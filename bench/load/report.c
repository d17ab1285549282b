/* report.c - figures are divided here: a delivery's, a handshake's, an event's share. */
#include "load/report.h"

#include <stdio.h>

#include "common/tool.h"

static void add_beside(sample *s, int pid)
{
    process_cpu cpu;
    process_memory memory;
    process_read_cpu(pid, &cpu);
    process_read_memory(pid, &memory);
    s->cpu.total_s += cpu.total_s;
    s->cpu.user_s += cpu.user_s;
    s->cpu.system_s += cpu.system_s;
    s->cpu.waiting_s += cpu.waiting_s;
    s->memory.resident_kb += memory.resident_kb;
    s->memory.proportional_kb += memory.proportional_kb;
}

void report_sample(sample *s, const plan *p)
{
    process_read_cpu(p->pid, &s->cpu);
    process_read_memory(p->pid, &s->memory);
    if (p->beside != 0)
        add_beside(s, p->beside);
    s->at_ns = tool_now_ns();
}

static double seconds(const sample *from, const sample *to)
{
    return (double)(to->at_ns - from->at_ns) / 1e9;
}

static double us_each(double cpu_s, double n)
{
    return n > 0 ? cpu_s * 1e6 / n : 0;
}

static void print_histogram(const char *name, const histogram *h)
{
    printf(",\"%s\":{\"n\":%lu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"max_us\":%.1f}",
           name, (unsigned long)h->total, (double)histogram_at(h, 50) / 1e3,
           (double)histogram_at(h, 90) / 1e3, (double)histogram_at(h, 99) / 1e3,
           (double)histogram_at(h, 99.9) / 1e3, (double)h->max_ns / 1e3);
}

static double thread_before(const process_cpu *before, const process_thread *t)
{
    for (int i = 0; i < before->n_threads; i++)
        if (before->threads[i].id == t->id)
            return before->threads[i].cpu_s;
    return 0;
}

static void print_threads(const process_cpu *before, const process_cpu *after, double n)
{
    printf(",\"threads\":[");
    for (int i = 0; i < after->n_threads; i++) {
        const process_thread *t = &after->threads[i];
        printf("%s{\"name\":\"%s\",\"cpu_us\":%.3f}", i > 0 ? "," : "", t->name,
               us_each(t->cpu_s - thread_before(before, t), n));
    }
    printf("]");
}

static void print_cpu(const sample *from, const sample *to, double n)
{
    printf(",\"cpu_us\":%.3f,\"user_us\":%.3f,\"system_us\":%.3f,\"busy\":%.3f,"
           "\"waiting\":%.3f",
           us_each(to->cpu.total_s - from->cpu.total_s, n),
           us_each(to->cpu.user_s - from->cpu.user_s, n),
           us_each(to->cpu.system_s - from->cpu.system_s, n),
           (to->cpu.total_s - from->cpu.total_s) / seconds(from, to),
           (to->cpu.waiting_s - from->cpu.waiting_s) / seconds(from, to));
}

static void print_handshakes(const report *r)
{
    double n = r->crowd->subscribed;
    printf("\"handshakes\":{\"n\":%.0f,\"wall_s\":%.3f,\"per_s\":%.1f", n,
           seconds(&r->start, &r->connected), n / seconds(&r->start, &r->connected));
    print_cpu(&r->start, &r->connected, n);
    print_threads(&r->start.cpu, &r->connected.cpu, n);
    print_histogram("took", &r->crowd->handshakes);
    print_histogram("since_began", &r->crowd->since_began);
    printf(",\"caught_up\":%lu}", (unsigned long)r->crowd->caught_up);
}

/* What still grows when the first tenth has come and gone is a leak. */
static void print_parts(const report *r)
{
    printf(",\"parts_kb\":{");
    for (int i = 0; i < REPORT_PARTS; i++)
        printf("%s\"%d\":%ld", i > 0 ? "," : "", i + 1, r->parts[i].resident_kb);
    printf("},\"grown_kb\":%ld", r->parts[REPORT_PARTS - 1].resident_kb - r->parts[0].resident_kb);
}

static void print_memory(const report *r)
{
    const process_memory *before = &r->start.memory, *after = &r->settled.memory;
    double subscriptions = (double)r->crowd->subscribed * r->plan->subscriptions;
    printf(",\"memory\":{\"base_rss_kb\":%ld,\"base_pss_kb\":%ld,\"rss_kb\":%ld,\"pss_kb\":%ld,"
           "\"kb_each\":%.4f,\"kb_a_subscription\":%.4f",
           before->resident_kb, before->proportional_kb, after->resident_kb, after->proportional_kb,
           (double)(after->resident_kb - before->resident_kb) / r->crowd->subscribed,
           (double)(after->resident_kb - before->resident_kb) / subscriptions);
    if (r->plan->leave)
        print_parts(r);
    printf("}");
}

static void print_events(const report *r)
{
    const meter *m = r->meter;
    double wall = seconds(&r->before_events, &r->after_events);
    printf(",\"events\":{\"n\":%d,\"deliveries\":%lu,\"bytes_each\":%.1f,\"wall_s\":%.3f,"
           "\"events_per_s\":%.1f,\"deliveries_per_s\":%.1f,\"publishing_s\":%.3f,\"late_us\":%.1f,"
           "\"rss_kb\":%ld",
           m->n_events, (unsigned long)m->delivered, (double)m->bytes / (double)m->delivered, wall,
           m->n_events / wall, (double)m->delivered / wall, (double)r->publisher->took_ns / 1e9,
           (double)r->publisher->late_ns / 1e3, r->after_events.memory.resident_kb);
    print_cpu(&r->before_events, &r->after_events, (double)m->delivered);
    printf(",\"cpu_us_an_event\":%.3f",
           us_each(r->after_events.cpu.total_s - r->before_events.cpu.total_s, m->n_events));
    print_threads(&r->before_events.cpu, &r->after_events.cpu, m->n_events);
    print_histogram("latency", &m->each);
    print_histogram("first", &m->first);
    print_histogram("last", &m->last);
    if (r->listener != NULL)
        print_histogram("notify", &r->listener->took);
    printf("}");
}

static void print_metrics(const report *r)
{
    printf(",\"metrics\":{");
    for (int i = 0; i < r->metrics_after.n; i++)
        printf("%s\"%s\":%.6g", i > 0 ? "," : "", r->metrics_after.names[i],
               r->metrics_after.values[i] - r->metrics_before.values[i]);
    printf("}");
}

void report_print(const report *r)
{
    printf("{");
    print_handshakes(r);
    print_memory(r);
    if (r->meter->n_events > 0)
        print_events(r);
    print_metrics(r);
    printf("}\n");
}
