/* UNDER_SANITIZER: this build looks for mistakes at run time. It keeps code mapped for its reports, has stacks and
 * handlers of its own, and ends the process by an exit code. */
#ifndef HOST_BASE_SANITIZER_H
#define HOST_BASE_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define UNDER_SANITIZER true
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER false
#endif

#endif
