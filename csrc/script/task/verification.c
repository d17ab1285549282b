/* verification.c - leat_verification_wait -> (the yield has arrived) start -> on_work, in the pool
 * -> on_done -> leat_task_wake.
 *
 * The job has two holders: the value on the coroutine's stack, and the work while it is queued.
 * A handler that ends sooner (stop) is forgotten by the job, whose work then ends for nobody. */
#include "script/task/verification.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/sandbox/sandbox_hold.h"

struct leat_verification {
    uv_work_t work;
    int holders;     /* loop thread */
    leat_task *task; /* NULL: nobody waits */
    leat_jwk_set *set;
    const leat_jwk *keys[LEAT_JWK_SET_TRIES];
    leat_verification_input input;
    leat_buf bytes;
    bool good;
};

bool leat_verification_run(const leat_verification_input *input)
{
    for (size_t i = 0; i < input->n_keys; i++)
        if (leat_jwk_verify(input->keys[i], input->alg, input->text, input->signature))
            return true;
    return false;
}

static void drop(leat_verification *v)
{
    if (v == NULL || --v->holders > 0)
        return;
    leat_jwk_set_unref(v->set);
    leat_buf_close(&v->bytes);
    free(v);
}

static void drop_held(void *verification)
{
    drop(verification);
}

static leat_verification *make(const leat_verification_input *input)
{
    leat_verification *v = leat_calloc(1, sizeof(*v));
    v->holders = 1;
    v->set = leat_jwk_set_ref(input->set);
    v->input = *input;
    memcpy(v->keys, input->keys, input->n_keys * sizeof(v->keys[0]));
    leat_buf_slice(&v->bytes, input->text);
    leat_buf_slice(&v->bytes, input->signature);
    v->input.keys = v->keys;
    v->input.text.at = v->bytes.at;
    v->input.signature.at = v->bytes.at + input->text.len;
    return v;
}

static void on_work(uv_work_t *work)
{
    leat_verification *v = work->data;
    v->good = leat_verification_run(&v->input);
}

static void on_done(uv_work_t *work, int status)
{
    leat_verification *v = work->data;
    leat_task *t = v->task;
    int err = status < 0 ? status : v->good ? 0 : LEAT_EBADMSG;
    v->task = NULL;
    drop(v);
    if (t != NULL)
        leat_task_wake(t, err);
}

static int start(leat_task *t)
{
    leat_verification *v = t->wait.verification;
    v->work.data = v;
    int err = uv_queue_work(leat_loop_uv(t->lua->core->loop), &v->work, on_work, on_done);
    if (err < 0)
        return err;
    v->holders++;
    v->task = t;
    return 0;
}

static void stop(leat_task *t)
{
    leat_verification *v = t->wait.verification;
    if (v->task == NULL)
        return;
    v->task = NULL;
    uv_cancel((uv_req_t *)&v->work); /* on_done comes in any case */
}

int leat_verification_wait(lua_State *L, leat_task *t, const leat_verification_input *input,
                           lua_KFunction k)
{
    static const leat_task_wait_kind kind = {LEAT_TASK_WAITING_SIGNATURE, start, stop};
    void **held = leat_sandbox_hold_push(L, drop_held);
    *held = t->wait.verification = make(input);
    return leat_task_wait(L, t, &kind, k);
}
