/* Whatever becomes of a stream, the caller gets its user data back exactly once, and after its last use. */
#include "story.h"

#define LONG "say=word%20;repeat=1000;deltas=1000;pace_ms=20"

static apertis_client *client;

/* A word that is checked for life at each use. */
struct luggage { story_tally *tally; int alive; };

static void on_event(void *user_data, const apertis_event *event) {
    struct luggage *luggage = (struct luggage *)user_data;
    CHECK(luggage->alive);
    story_tally_add(luggage->tally, event);
}

static void on_drop(void *user_data) {
    struct luggage *luggage = (struct luggage *)user_data;
    CHECK(luggage->alive);
    luggage->alive = 0;
    story_on_drop(luggage->tally);
}

enum ending { SUCCESS, FAILURE, CANCEL, STREAM_FREE, QUEUE_FREE, SHUTDOWN, START_FAILURE, ENDINGS };

static void play(int32_t delivery, enum ending ending) {
    struct luggage luggage;
    apertis_queue *queue = story_queue(delivery);
    apertis_request *request = ending == START_FAILURE ? apertis_request_new() : story_request(ending == SUCCESS ? "say=Hi" : ending == FAILURE ? "status=404" : LONG, "Hello");
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;
    luggage.tally = story_tally_new();
    luggage.alive = 1;
    if (ending == START_FAILURE) {
        CHECK_STATUS(apertis_client_start_on(client, request, queue, on_event, &luggage, on_drop, &stream, &error), APERTIS_ERROR_INVALID_ARGUMENT);
        CHECK(stream == NULL);
        CHECK_INT(story_drops(luggage.tally), 1);               /* already */
        apertis_error_free(error);
    } else {
        CHECK_OK(apertis_client_start_on(client, request, queue, on_event, &luggage, on_drop, &stream, &error), error);
        story_sleep_ms(ending == SUCCESS || ending == FAILURE ? 0 : 60);
        if (ending != QUEUE_FREE && ending != SHUTDOWN) {
            if (ending == CANCEL) apertis_stream_cancel(stream);
            if (ending == STREAM_FREE) apertis_stream_free(stream);
            while (story_drops(luggage.tally) == 0) {
                if (delivery == APERTIS_DELIVER_PULL && apertis_queue_next(queue, 10, &event) == APERTIS_OK) {
                    CHECK(luggage.alive);                       /* while END is lent, so is the user data */
                    CHECK(apertis_event_user_data(event) == &luggage);
                } else if (delivery == APERTIS_DELIVER_PUMP) {
                    CHECK(apertis_queue_pump(queue, 0) >= 0);
                }
            }
        } else if (ending == SHUTDOWN) {
            CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
            CHECK_INT(story_drops(luggage.tally), 1);
            apertis_client_free(client);
            client = story_client();
        }
        if (delivery != APERTIS_DELIVER_PULL && ending != QUEUE_FREE) CHECK_INT(luggage.tally->kinds[APERTIS_EVENT_END], 1);
    }
    apertis_queue_free(queue);
    if (ending == QUEUE_FREE) CHECK_SOON(story_drops(luggage.tally) == 1);
    apertis_stream_free(stream);
    story_sleep_ms(20);
    CHECK_INT(story_drops(luggage.tally), 1);
    apertis_request_free(request);
    story_tally_free(luggage.tally);
}

static void on_log(void *user_data, int32_t level, const char *message, size_t length) { (void)user_data; (void)level; (void)message; (void)length; }

int main(void) {
    int delivery, ending;
    story_tally *tally;
    story_begin();
    client = story_client();
    for (delivery = APERTIS_DELIVER_PULL; delivery <= APERTIS_DELIVER_THREAD; delivery++)
        for (ending = 0; ending < ENDINGS; ending++) play(delivery, (enum ending)ending);

    /* The other start failures: no callback where one is needed, a client of the past. */
    tally = story_tally_new();
    {
        apertis_queue *queue = story_queue(APERTIS_DELIVER_PUMP);
        apertis_request *request = story_request("say=Hi", "Hello");
        apertis_stream *stream = (apertis_stream *)&stream;
        CHECK_STATUS(apertis_client_start_on(client, request, queue, NULL, tally, story_on_drop, &stream, NULL), APERTIS_ERROR_INVALID_ARGUMENT);
        CHECK(stream == NULL);
        CHECK_INT(story_drops(tally), 1);
        CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
        CHECK_STATUS(apertis_client_start_on(client, request, queue, story_on_event, tally, story_on_drop, &stream, NULL), APERTIS_ERROR_SHUTDOWN);
        CHECK_INT(story_drops(tally), 2);
        apertis_queue_free(queue);
        apertis_request_free(request);
    }
    CHECK_STATUS(apertis_set_log(APERTIS_LOG_ERROR, on_log, tally, story_on_drop), APERTIS_OK);
    CHECK_INT(story_drops(tally), 2);
    CHECK_STATUS(apertis_set_log(APERTIS_LOG_OFF, NULL, NULL, NULL), APERTIS_OK);
    CHECK_INT(story_drops(tally), 3);
    story_tally_free(tally);
    apertis_client_free(client);
    return story_end();
}
