/* A redirect to a stranger: the key stays here, and so does everything else. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_error *error;
    struct sockaddr_in address;
    struct pollfd stranger;
    socklen_t size = sizeof address;
    int port;

    story_begin();
    stranger.fd = socket(AF_INET, SOCK_STREAM, 0);
    stranger.events = POLLIN;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(stranger.fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(stranger.fd, 8) == 0);
    CHECK(getsockname(stranger.fd, (struct sockaddr *)&address, &size) == 0);
    port = ntohs(address.sin_port);

    client = story_retrying_client(2);
    error = story_chat_fails(client, story_format("redirect=http://127.0.0.1:%d/v1/chat/completions", port));
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_PROTOCOL);
    CHECK_CONTAINS(apertis_error_message(error), story_format("127.0.0.1:%d", port));       /* says where it would have gone */
    CHECK_INT(apertis_error_http_status(error), 307);
    apertis_error_free(error);
    CHECK_INT(poll(&stranger, 1, 300), 0);                      /* nobody called there */
    CHECK_INT(story_sent_count(), 1);

    /* In circles at home: followed for a while, then told. */
    story_next_key();
    error = story_chat_fails(client, story_format("redirect=http://127.0.0.1:%d/v1/chat/completions", story_port()));
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_PROTOCOL);
    apertis_error_free(error);
    CHECK(story_sent_count() >= 2 && story_sent_count() <= 6);
    CHECK_TEXT(story_sent_about(1, "method"), "POST");
    CHECK_TEXT(story_sent_body(1), story_sent_body(0));
    close(stranger.fd);
    apertis_client_free(client);
    return story_end();
}
