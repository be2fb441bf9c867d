/* The log tells what the library does at the finest level, and neither the key nor a word of the conversation. */
#include "story.h"

#define SECRET_KEY "sk-nobody-must-see-this-0123456789"
#define QUESTION "the question is private"
#define ANSWER "so%20is%20the%20answer%20itself"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *all;
static int lines, drops;

static void on_log(void *user_data, int32_t level, const char *message, size_t length) {
    CHECK(user_data == &lines);
    CHECK(level >= APERTIS_LOG_ERROR && level <= APERTIS_LOG_TRACE);
    CHECK(message != NULL && strlen(message) == length);
    CHECK(story_is_utf8(message, length));
    pthread_mutex_lock(&lock);
    story_append(&all, message, length);
    story_append(&all, "\n", 1);
    lines++;
    pthread_mutex_unlock(&lock);
}

static void on_drop(void *user_data) {
    CHECK(user_data == &lines);
    drops++;
}

int main(void) {
    apertis_config *config;
    apertis_client *client;
    apertis_request *request;
    apertis_error *error = NULL;
    int seen;

    story_begin();
    all = (char *)calloc(1, 1);
    CHECK_STATUS(apertis_set_log(APERTIS_LOG_TRACE, on_log, &lines, on_drop), APERTIS_OK);
    config = story_config();
    CHECK_STATUS(apertis_config_set_api_key(config, SECRET_KEY), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_max_retries(config, 1), APERTIS_OK);
    client = story_client_of(config);
    request = story_request("say=" ANSWER ";deltas=2;fail=503;retry_after_ms=1", QUESTION);
    CHECK_STATUS(apertis_request_set_api_key(request, SECRET_KEY "-player"), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, request, NULL, &error), error);
    apertis_request_free(request);
    apertis_error_free(story_chat_fails(client, "status=401;error=invalid_api_key:auth_error:Wrong%20key%20" SECRET_KEY));
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    CHECK(lines > 0);
    CHECK(strstr(all, "sk-nobody") == NULL);
    CHECK(strstr(all, "private") == NULL);
    CHECK(strstr(all, "so is the answer") == NULL);
    CHECK_CONTAINS(all, "503");                                 /* the retry and why */

    /* Silence after the sink is gone. */
    CHECK_STATUS(apertis_set_log(APERTIS_LOG_TRACE, NULL, NULL, NULL), APERTIS_OK);
    CHECK_INT(drops, 1);
    seen = lines;
    client = story_client();
    apertis_error_free(story_chat_fails(client, "status=500"));
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    CHECK_INT(lines, seen);

    /* ERROR is quieter than TRACE; a level that is none is refused, and its user data dropped. */
    CHECK_STATUS(apertis_set_log(99, on_log, &lines, on_drop), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_INT(drops, 2);
    CHECK_STATUS(apertis_set_log(APERTIS_LOG_ERROR, on_log, &lines, on_drop), APERTIS_OK);
    client = story_client();
    apertis_response_free(story_chat(client, "say=Hi"));
    apertis_client_free(client);
    CHECK_INT(lines, seen);
    CHECK_STATUS(apertis_set_log(APERTIS_LOG_OFF, NULL, NULL, NULL), APERTIS_OK);
    CHECK_INT(drops, 3);
    free(all);
    return story_end();
}
