/* Ask about a picture: a file from disk, or a URL.
 *
 *     ./image_question photo.png "What is in this picture?"
 */
#include <apertis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole file; NULL if it cannot be read. */
static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *data = NULL;
    long end;
    if (file && fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
        *size = (size_t)end;
        data = (char *)malloc(*size);
        if (data && fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
    }
    if (file) fclose(file);
    return data;
}

int main(int argc, char **argv) {
    const char *picture = argc > 1 ? argv[1] : "https://upload.wikimedia.org/wikipedia/commons/4/47/PNG_transparency_demonstration_1.png";
    const char *question = argc > 2 ? argv[2] : "What is in this picture?";
    const char *type = strstr(picture, ".jp") ? "image/jpeg" : strstr(picture, ".webp") ? "image/webp" : "image/png";
    apertis_client *client = NULL;
    apertis_request *request = apertis_request_new();
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    apertis_status status = apertis_client_new(NULL, &client, &error);

    /* A message, and then what belongs to it. */
    if (status == APERTIS_OK) status = apertis_request_add_message(request, APERTIS_ROLE_USER, question, APERTIS_NTS);
    if (status == APERTIS_OK && strncmp(picture, "http", 4) == 0) {
        status = apertis_request_attach_url(request, type, picture);
    } else if (status == APERTIS_OK) {
        size_t size = 0;
        char *data = read_file(picture, &size);
        if (!data) fprintf(stderr, "%s cannot be read\n", picture);
        status = data ? apertis_request_attach_data(request, type, picture, data, size) : APERTIS_ERROR_INVALID_ARGUMENT;
        free(data); /* it was copied */
    }
    if (status == APERTIS_OK) status = apertis_client_chat(client, request, &response, &error);
    if (status == APERTIS_OK) {
        puts(apertis_response_text(response, NULL));
    } else {
        fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), error ? apertis_error_message(error) : "an argument was wrong");
    }

    apertis_error_free(error);
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
    return status == APERTIS_OK ? 0 : 1;
}
