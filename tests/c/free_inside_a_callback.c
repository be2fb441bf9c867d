/* A callback frees everything it can reach: its stream, its client. END still comes, then drop, each once. */
#include "story.h"

struct scene {
    story_tally *tally;
    apertis_client *client;
    int32_t free_at;                    /* the kind at which it frees */
    int freed;
};

static void on_event(void *user_data, const apertis_event *event) {
    struct scene *scene = (struct scene *)user_data;
    apertis_stream *stream = apertis_event_stream(event);
    story_tally_add(scene->tally, event);
    CHECK(stream != NULL);              /* after the free it still tells streams apart */
    if (scene->freed) {
        CHECK_STATUS(apertis_stream_wait(stream, 0, NULL, NULL), APERTIS_ERROR_INVALID_HANDLE);
    } else if (apertis_event_kind_of(event) == scene->free_at) {
        scene->freed = 1;
        apertis_client_free(scene->client);
        apertis_stream_free(stream);
        apertis_stream_free(stream);
        apertis_stream_cancel(stream);
        CHECK(apertis_event_kind_of(event) == scene->free_at);  /* the event lives until we return */
        if (scene->free_at == APERTIS_EVENT_TEXT) CHECK(strncmp(apertis_event_text(event, NULL), "word ", 5) == 0);
        else CHECK(apertis_response_text(apertis_event_response(event), NULL) != NULL);
    }
}

static void on_drop(void *user_data) { story_on_drop(((struct scene *)user_data)->tally); }

static void play(int32_t delivery, int32_t free_at, const char *script, int32_t expected) {
    struct scene scene;
    apertis_queue *queue = story_queue(delivery);
    apertis_request *request = story_request(script, "Hello");
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    scene.tally = story_tally_new();
    scene.client = story_client();
    scene.free_at = free_at;
    scene.freed = 0;
    CHECK_OK(apertis_client_start_on(scene.client, request, queue, on_event, &scene, on_drop, &stream, &error), error);
    apertis_request_free(request);
    while (story_drops(scene.tally) == 0) {
        if (delivery == APERTIS_DELIVER_PUMP) CHECK(apertis_queue_pump(queue, 0) >= 0);
        story_sleep_ms(5);
    }
    story_sleep_ms(50);
    if (delivery == APERTIS_DELIVER_PUMP) CHECK_INT(apertis_queue_pump(queue, 0), 0);
    CHECK_INT(story_drops(scene.tally), 1);
    CHECK_INT(scene.tally->kinds[APERTIS_EVENT_END], 1);
    CHECK_STATUS(scene.tally->status, expected);
    CHECK_STATUS(apertis_stream_wait(stream, 0, NULL, NULL), APERTIS_ERROR_INVALID_HANDLE);
    apertis_queue_free(queue);
    story_tally_free(scene.tally);
}

#define LONG "say=word%20;repeat=1000;deltas=1000;pace_ms=20"

int main(void) {
    story_begin();
    play(APERTIS_DELIVER_PUMP, APERTIS_EVENT_TEXT, LONG, APERTIS_ERROR_CANCELLED);
    play(APERTIS_DELIVER_THREAD, APERTIS_EVENT_TEXT, LONG, APERTIS_ERROR_CANCELLED);
    play(APERTIS_DELIVER_PUMP, APERTIS_EVENT_END, "say=short", APERTIS_OK);
    play(APERTIS_DELIVER_THREAD, APERTIS_EVENT_END, "say=short", APERTIS_OK);
    return story_end();
}
