/* A callback frees its own queue: it is the last callback to run, and every drop still runs once. */
#include "story.h"

#define STREAMS 4
static apertis_queue *queue;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int all_started, freed, callbacks_after, drops;

static void on_event(void *user_data, const apertis_event *event) {
    int started;
    (void)user_data;
    pthread_mutex_lock(&lock);
    callbacks_after += freed;
    started = all_started;
    pthread_mutex_unlock(&lock);
    if (apertis_event_kind_of(event) != APERTIS_EVENT_TEXT || freed || !started) return;
    pthread_mutex_lock(&lock);
    freed = 1;
    pthread_mutex_unlock(&lock);
    apertis_queue_free(queue);
    apertis_queue_free(queue);
    CHECK(strncmp(apertis_event_text(event, NULL), "word ", 5) == 0);   /* lent until we return */
    CHECK_STATUS(apertis_queue_pump(queue, 0), APERTIS_ERROR_INVALID_HANDLE);
}

static void on_drop(void *user_data) {
    pthread_mutex_lock(&lock);
    ++*(int *)user_data;
    drops++;
    pthread_mutex_unlock(&lock);
}

static int dropped(void) {
    int count;
    pthread_mutex_lock(&lock);
    count = drops;
    pthread_mutex_unlock(&lock);
    return count;
}

static void play(int32_t delivery) {
    apertis_client *client = story_client();
    apertis_stream *streams[STREAMS];
    int dropped_of[STREAMS] = { 0 };
    long hung_up = story_stat("cancelled");
    int index;
    queue = story_queue(delivery);
    all_started = freed = callbacks_after = drops = 0;
    for (index = 0; index < STREAMS; index++) {
        apertis_request *request = story_request("say=word%20;repeat=1000;deltas=1000;pace_ms=20", "Hello");
        apertis_error *error = NULL;
        CHECK_OK(apertis_client_start_on(client, request, queue, on_event, &dropped_of[index], on_drop, &streams[index], &error), error);
        apertis_request_free(request);
    }
    pthread_mutex_lock(&lock);
    all_started = 1;
    pthread_mutex_unlock(&lock);
    while (dropped() < STREAMS) {
        if (delivery == APERTIS_DELIVER_PUMP) apertis_queue_pump(queue, 0);
        story_sleep_ms(5);
    }
    story_sleep_ms(150);
    CHECK_INT(callbacks_after, 0);
    for (index = 0; index < STREAMS; index++) {
        CHECK_INT(dropped_of[index], 1);
        apertis_stream_cancel(streams[index]);
        apertis_stream_free(streams[index]);
    }
    CHECK_SOON(story_stat("in_flight") == 0);                   /* the streams were cancelled */
    CHECK(story_stat("cancelled") > hung_up);
    /* The client is none the worse. */
    apertis_response_free(story_chat(client, "say=Hi"));
    apertis_client_free(client);
}

int main(void) {
    story_begin();
    play(APERTIS_DELIVER_PUMP);
    play(APERTIS_DELIVER_THREAD);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    CHECK_SOON(story_thread_count() == 1);                      /* the queue's thread is gone too */
    return story_end();
}
