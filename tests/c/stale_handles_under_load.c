/* Eight threads use, cancel and free the same tickets at the same time; every call says OK or why not, and nobody falls. */
#include "story.h"

#define THREADS 8
#define SLOTS 4
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static apertis_client *client;
static apertis_queue *queues[SLOTS];
static apertis_stream *streams[SLOTS];
static apertis_response *responses[SLOTS];
static int starts, drops;
static int64_t until;

static void on_event(void *user_data, const apertis_event *event) { (void)user_data; (void)event; }
static void on_drop(void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&lock);
    drops++;
    pthread_mutex_unlock(&lock);
}

/* Reads or replaces a ticket; only the variable is guarded, never what it stands for. */
static void *swap(void **slot, void *with, int replace) {
    void *ticket;
    pthread_mutex_lock(&lock);
    ticket = *slot;
    if (replace) *slot = with;
    pthread_mutex_unlock(&lock);
    return ticket;
}

static void *work(void *seed) {
    unsigned random = (unsigned)(uintptr_t)seed * 2654435761u + 1;
    apertis_request *request = story_request("say=Hello%20there%20again;deltas=3;pace_ms=1", "Hello");
    while (story_ms() < until) {
        int slot, action;
        apertis_stream *stream;
        apertis_response *response = NULL;
        const apertis_event *event = NULL;
        int32_t status;
        random = random * 1103515245u + 12345u;
        slot = (int)(random >> 16) % SLOTS;
        action = (int)(random >> 20) % 8;
        stream = (apertis_stream *)swap((void **)&streams[slot], NULL, 0);
        switch (action) {
        case 0:
            if (apertis_client_start(client, request, &stream, NULL) == APERTIS_OK) apertis_stream_free((apertis_stream *)swap((void **)&streams[slot], stream, 1));
            break;
        case 1:
            pthread_mutex_lock(&lock);
            starts++;
            pthread_mutex_unlock(&lock);
            status = apertis_client_start_on(client, request, (apertis_queue *)swap((void **)&queues[slot], NULL, 0), on_event, NULL, on_drop, &stream, NULL);
            CHECK(status == APERTIS_OK || status == APERTIS_ERROR_INVALID_HANDLE);
            if (status == APERTIS_OK) apertis_stream_free((apertis_stream *)swap((void **)&streams[slot], stream, 1));
            break;
        case 2:
            status = apertis_stream_next(stream, 1, &event);
            CHECK(status >= 0 || status == APERTIS_ERROR_INVALID_HANDLE || status == APERTIS_ERROR_INVALID_ARGUMENT);
            break;                      /* the event is not ours to read: another thread may free its stream */
        case 3:
            status = apertis_stream_wait(stream, 2, &response, NULL);
            CHECK(status == APERTIS_OK || status == APERTIS_TIMEOUT || status == APERTIS_DONE || status == APERTIS_ERROR_INVALID_HANDLE || status == APERTIS_ERROR_CANCELLED);
            if (response) apertis_response_free((apertis_response *)swap((void **)&responses[slot], response, 1));
            break;
        case 4:
            apertis_stream_cancel(stream);
            break;
        case 5:
            apertis_stream_free(stream);
            break;
        case 6:
            apertis_response_free((apertis_response *)swap((void **)&responses[slot], NULL, 0));
            CHECK(apertis_response_usage((apertis_response *)swap((void **)&responses[slot], NULL, 0), 99) == -1);
            break;
        default: {
            int32_t delivery = (random >> 25) % 2 ? APERTIS_DELIVER_THREAD : APERTIS_DELIVER_PUMP;
            apertis_queue *queue = story_queue(delivery);
            apertis_queue_pump((apertis_queue *)swap((void **)&queues[slot], NULL, 0), 100);
            apertis_queue_free((apertis_queue *)swap((void **)&queues[slot], queue, 1));
        }
        }
    }
    apertis_request_free(request);
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    int index;
    story_begin();
    client = story_client();
    until = story_ms() + 3000;
    for (index = 0; index < THREADS; index++) CHECK(pthread_create(&threads[index], NULL, work, (void *)(uintptr_t)(index + 1)) == 0);
    for (index = 0; index < THREADS; index++) pthread_join(threads[index], NULL);
    for (index = 0; index < SLOTS; index++) {
        apertis_queue_free(queues[index]);
        apertis_stream_free(streams[index]);
        apertis_response_free(responses[index]);
    }
    CHECK_STATUS(apertis_shutdown(20000), APERTIS_OK);
    CHECK(starts > 10);
    CHECK_INT(drops, starts);           /* every user_data was dropped once, whatever became of its stream */
    CHECK_SOON(story_thread_count() == 1);
    apertis_client_free(client);
    client = story_client();
    apertis_response_free(story_chat(client, "say=Hi"));
    apertis_client_free(client);
    return story_end();
}
