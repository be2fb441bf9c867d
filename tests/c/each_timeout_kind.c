/* Four clocks watch a request: to connect, to the first event, between two bytes, and over all; each rings on time. */
#include "story.h"

static apertis_client *client_with(int32_t kind, int64_t ms) {
    apertis_config *config = story_config();
    CHECK_STATUS(apertis_config_set_timeout(config, kind, ms), APERTIS_OK);
    return story_client_of(config);
}

/* Runs into a timeout of 400 ms; returns the text that came. */
static char *runs_out(apertis_client *client, apertis_request *request) {
    story_tally *tally = story_tally_new();
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    int64_t began = story_ms(), took;
    char *text;
    CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_ERROR_TIMED_OUT);
    took = story_ms() - began;
    if (took < 350 || took > 5000) story_fail(__FILE__, __LINE__, "took %ld ms instead of 400", (long)took);
    if (tally->kinds[APERTIS_EVENT_STARTED]) CHECK_INT(tally->finish, APERTIS_FINISH_INTERRUPTED);
    CHECK_TEXT(tally->part, tally->text);
    apertis_stream_free(stream);
    apertis_request_free(request);
    apertis_client_free(client);
    text = story_format("%s", tally->text);
    story_tally_free(tally);
    return text;
}

int main(void) {
    static const char words[] = "say=word%20;repeat=400;deltas=400";
    apertis_client *client;
    apertis_request *request;
    apertis_config *config;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char *text;
    int listener, full[8], index;

    story_begin();

    /* CONNECT: a listener whose backlog is full does not answer any more. */
    listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 0) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    for (index = 0; index < 8; index++) {
        full[index] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(fcntl(full[index], F_SETFL, O_NONBLOCK) == 0);
        if (connect(full[index], (struct sockaddr *)&address, sizeof address) != 0) CHECK(errno == EINPROGRESS);
    }
    story_sleep_ms(50);
    config = story_config();
    CHECK_STATUS(apertis_config_set_timeout(config, APERTIS_TIMEOUT_CONNECT, 400), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_api_base(config, story_format("http://127.0.0.1:%d/v1", ntohs(address.sin_port))), APERTIS_OK);
    runs_out(story_client_of(config), story_request("say=Hi", "Hello"));
    for (index = 0; index < 8; index++) close(full[index]);
    close(listener);

    /* FIRST_EVENT: the head does not come; and, too, the head comes and nothing else. */
    text = runs_out(client_with(APERTIS_TIMEOUT_FIRST_EVENT, 400), story_request("stall=head", "Hello"));
    CHECK_TEXT(text, "");
    runs_out(client_with(APERTIS_TIMEOUT_FIRST_EVENT, 400), story_request("say=Hi;stall=0", "Hello"));

    /* IDLE: silence in the middle; slowness is no silence. */
    text = runs_out(client_with(APERTIS_TIMEOUT_IDLE, 400), story_request(story_format("%s;stall=5000", words), "Hello"));
    CHECK(strncmp(text, "word word ", 10) == 0);
    client = client_with(APERTIS_TIMEOUT_IDLE, 400);
    apertis_response_free(story_chat(client, "say=slow%20but%20sure%20it%20goes%20on;deltas=7;pace_ms=150"));
    {
        apertis_stream *stream = story_start(client, "say=slow%20but%20sure%20it%20goes%20on;deltas=7;pace_ms=150");
        CHECK_STATUS(apertis_stream_wait(stream, -1, NULL, NULL), APERTIS_OK);
        apertis_stream_free(stream);
    }
    apertis_client_free(client);

    /* TOTAL: however busy it is. */
    text = runs_out(client_with(APERTIS_TIMEOUT_TOTAL, 400), story_request(story_format("%s;pace_ms=20", words), "Hello"));
    CHECK(strncmp(text, "word ", 5) == 0);

    /* A request's own clock goes before the client's; 0 stops it. */
    request = story_request(story_format("%s;pace_ms=20", words), "Hello");
    CHECK_STATUS(apertis_request_set_timeout(request, APERTIS_TIMEOUT_TOTAL, 400), APERTIS_OK);
    runs_out(client_with(APERTIS_TIMEOUT_TOTAL, 60000), request);
    client = client_with(APERTIS_TIMEOUT_TOTAL, 50);
    request = story_request("say=not%20in%20a%20hurry;deltas=4;pace_ms=60", "Hello");
    CHECK_STATUS(apertis_request_set_timeout(request, APERTIS_TIMEOUT_TOTAL, 0), APERTIS_OK);
    CHECK_STATUS(apertis_client_chat(client, request, NULL, NULL), APERTIS_OK);
    apertis_request_free(request);
    apertis_client_free(client);

    /* TOTAL covers attempts and the waits between them. */
    config = story_config();
    CHECK_STATUS(apertis_config_set_max_retries(config, 50), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_timeout(config, APERTIS_TIMEOUT_TOTAL, 400), APERTIS_OK);
    client = story_client_of(config);
    {
        int64_t began = story_ms();
        apertis_error *error = story_chat_fails(client, "status=503;retry_after_ms=100");
        CHECK(story_ms() - began < 5000);
        CHECK(apertis_error_attempts(error) >= 2 && apertis_error_attempts(error) <= 5);
        apertis_error_free(error);
    }
    apertis_client_free(client);
    return story_end();
}
