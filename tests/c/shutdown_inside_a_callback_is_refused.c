/* A callback asks for what would wait for itself: it is told so, nothing happens, and the stream goes on. */
#include "story.h"

struct scene {
    story_tally *tally;
    apertis_queue *queue;
    int refused, refused_in_drop;
};

static void on_event(void *user_data, const apertis_event *event) {
    struct scene *scene = (struct scene *)user_data;
    apertis_stream *stream = apertis_event_stream(event);
    apertis_response *response = (apertis_response *)&response;
    apertis_error *error = NULL;
    CHECK_STATUS(apertis_shutdown(0), APERTIS_ERROR_WOULD_DEADLOCK);
    CHECK_STATUS(apertis_shutdown(5000), APERTIS_ERROR_WOULD_DEADLOCK);
    if (scene->queue && apertis_event_kind_of(event) == APERTIS_EVENT_TEXT) {
        CHECK_STATUS(apertis_stream_wait(stream, -1, &response, &error), APERTIS_ERROR_WOULD_DEADLOCK);
        CHECK(response == NULL);
        CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_WOULD_DEADLOCK);
        apertis_error_free(error);
    }
    scene->refused++;
    story_tally_add(scene->tally, event);
}

static void on_pump_event(void *user_data, const apertis_event *event) {
    struct scene *scene = (struct scene *)user_data;
    CHECK_STATUS(apertis_queue_pump(scene->queue, 0), APERTIS_ERROR_WOULD_DEADLOCK);
    on_event(user_data, event);
}

static void on_drop(void *user_data) {
    struct scene *scene = (struct scene *)user_data;
    CHECK_STATUS(apertis_shutdown(5000), APERTIS_ERROR_WOULD_DEADLOCK);
    scene->refused_in_drop = 1;
    story_on_drop(scene->tally);
}

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    struct scene scene;
    int delivery;

    story_begin();
    client = story_client();
    request = story_request("say=on%20it%20goes;deltas=3;pace_ms=10", "Hello");
    for (delivery = APERTIS_DELIVER_PUMP; delivery <= APERTIS_DELIVER_THREAD; delivery++) {
        memset(&scene, 0, sizeof scene);
        scene.tally = story_tally_new();
        scene.queue = story_queue(delivery);
        CHECK_OK(apertis_client_start_on(client, request, scene.queue, delivery == APERTIS_DELIVER_PUMP ? on_pump_event : on_event, &scene, on_drop, NULL, &error), error);
        while (story_drops(scene.tally) == 0) {
            if (delivery == APERTIS_DELIVER_PUMP) CHECK(apertis_queue_pump(scene.queue, 0) >= 0);
            story_sleep_ms(5);
        }
        CHECK(scene.refused >= 3 && scene.refused_in_drop);
        CHECK_STATUS(scene.tally->status, APERTIS_OK);
        CHECK_TEXT(scene.tally->text, "on it goes");
        apertis_queue_free(scene.queue);
        story_tally_free(scene.tally);
    }
    memset(&scene, 0, sizeof scene);
    scene.tally = story_tally_new();
    CHECK_OK(apertis_client_chat_stream(client, request, on_event, &scene, &response, &error), error);
    CHECK(scene.refused >= 3);
    CHECK_TEXT(apertis_response_text(response, NULL), "on it goes");
    apertis_response_free(response);
    story_tally_free(scene.tally);
    apertis_request_free(request);

    /* What does not wait for itself is allowed: the client was not harmed, and outside the shutdown works. */
    apertis_response_free(story_chat(client, "say=Hi"));
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(5000), APERTIS_OK);
    return story_end();
}
