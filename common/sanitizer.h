/* sanitizer: whether this is compiled with AddressSanitizer. gcc and clang say it differently. */
#ifndef THRESH_COMMON_SANITIZER_H
#define THRESH_COMMON_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#endif
