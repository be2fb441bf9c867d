/* A thread sleeps on its own condition variable; the queue's wakeup hook rings it, and no ring is lost. */
#include "story.h"

#define STREAMS 8
struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rings;
    int rung, total, drops;
};

static void ring(void *user_data) {
    struct bell *bell = (struct bell *)user_data;
    pthread_mutex_lock(&bell->lock);
    bell->rung = 1;
    bell->total++;
    pthread_cond_signal(&bell->rings);
    pthread_mutex_unlock(&bell->lock);
}

static void drop(void *user_data) {
    struct bell *bell = (struct bell *)user_data;
    pthread_mutex_lock(&bell->lock);
    bell->drops++;
    pthread_mutex_unlock(&bell->lock);
}

static int count(struct bell *bell, const int *of) {
    int seen;
    pthread_mutex_lock(&bell->lock);
    seen = *of;
    pthread_mutex_unlock(&bell->lock);
    return seen;
}

int main(void) {
    static struct bell first = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0 };
    static struct bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0 };
    apertis_client *client;
    apertis_queue *queue;
    apertis_stream *streams[STREAMS];
    story_tally *tallies[STREAMS];
    int index, ended = 0;

    story_begin();
    client = story_client();
    queue = story_queue(APERTIS_DELIVER_PULL);
    CHECK_STATUS(apertis_queue_set_wakeup(queue, ring, &first, drop), APERTIS_OK);
    CHECK_STATUS(apertis_queue_set_wakeup(queue, ring, &bell, drop), APERTIS_OK);
    CHECK_INT(count(&first, &first.drops), 1);                                 /* replaced: dropped */
    for (index = 0; index < STREAMS; index++) {
        apertis_request *request = story_request("say=ring%20ring%20ring%20ring;deltas=4;pace_ms=15", "Hello");
        apertis_error *error = NULL;
        tallies[index] = story_tally_new();
        CHECK_OK(apertis_client_start_on(client, request, queue, NULL, tallies[index], NULL, &streams[index], &error), error);
        apertis_request_free(request);
    }
    while (ended < STREAMS) {           /* a lost ring would sleep here until the watchdog barks */
        const apertis_event *event = NULL;
        pthread_mutex_lock(&bell.lock);
        while (!bell.rung) pthread_cond_wait(&bell.rings, &bell.lock);
        bell.rung = 0;
        pthread_mutex_unlock(&bell.lock);
        while (apertis_queue_next(queue, 0, &event) == APERTIS_OK) {
            story_tally *tally = (story_tally *)apertis_event_user_data(event);
            ended += apertis_event_kind_of(event) == APERTIS_EVENT_END;
            story_tally_add(tally, event);
        }
    }
    for (index = 0; index < STREAMS; index++) {
        CHECK_STATUS(tallies[index]->status, APERTIS_OK);
        CHECK_TEXT(tallies[index]->text, "ring ring ring ring");
        apertis_stream_free(streams[index]);
        story_tally_free(tallies[index]);
    }
    CHECK_INT(count(&first, &first.total), 0);
    CHECK(count(&bell, &bell.total) > 1);
    CHECK_INT(count(&bell, &bell.drops), 0);

    /* No hook: nothing rings any more. */
    CHECK_STATUS(apertis_queue_set_wakeup(queue, NULL, NULL, NULL), APERTIS_OK);
    CHECK_SOON(count(&bell, &bell.drops) == 1);                 /* soon: it may be ringing just now */
    index = count(&bell, &bell.total);
    {
        apertis_request *request = story_request("say=unheard", "Hello");
        const apertis_event *event = NULL;
        CHECK_STATUS(apertis_client_start_on(client, request, queue, NULL, NULL, NULL, &streams[0], NULL), APERTIS_OK);
        do CHECK_STATUS(apertis_queue_next(queue, -1, &event), APERTIS_OK); while (apertis_event_kind_of(event) != APERTIS_EVENT_END);
        apertis_request_free(request);
        apertis_stream_free(streams[0]);
    }
    CHECK_INT(count(&bell, &bell.total), index);

    /* The queue takes its hook with it. */
    CHECK_STATUS(apertis_queue_set_wakeup(queue, ring, &first, drop), APERTIS_OK);
    apertis_queue_free(queue);
    CHECK_SOON(count(&first, &first.drops) == 2);
    CHECK_INT(count(&bell, &bell.drops), 1);
    apertis_client_free(client);
    return story_end();
}
