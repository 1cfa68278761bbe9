// base.h - what every room shares: errors as values, time, seeded randomness, ids, tasks and the log sink.
// Nothing here does I/O. Nothing here throws.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace mailsbuddy {

// ---------------------------------------------------------------------------------------------------------------------
// Errors

enum class ErrorCode : std::uint8_t {
  kInvalidArgument,    // The caller's input is wrong; detail names what and where.
  kNotFound,           // Nothing has that name.
  kAlreadyExists,      // Something else has that name.
  kUnavailable,        // Not now: a peer, a file or an address cannot be used; trying again may help.
  kResourceExhausted,  // A cap was reached: memory, disk, output size.
  kIo,                 // The operating system refused; detail carries its words.
  kClosed,             // The object was closed or is closing.
  kUnsupported,        // Valid, but this build or this peer cannot do it.
  kInternal,           // A defect in mailsbuddy.
};

std::string_view to_string(ErrorCode code) noexcept;  // "invalid_argument", ...

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;  // One line for a person: what is wrong and where. No trailing full stop.
};

// A value or an Error, with the member names of std::expected (C++23). Reading the one that is not there is a defect
// and terminates.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = Error;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}            // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}        // NOLINT: implicit by design

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  T& value() & noexcept { return *std::get_if<0>(&state_); }
  const T& value() const& noexcept { return *std::get_if<0>(&state_); }
  T&& value() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & noexcept { return value(); }
  const T& operator*() const& noexcept { return value(); }
  T&& operator*() && noexcept { return std::move(*this).value(); }
  T* operator->() noexcept { return &value(); }
  const T* operator->() const noexcept { return &value(); }
  Error& error() & noexcept { return *std::get_if<1>(&state_); }
  const Error& error() const& noexcept { return *std::get_if<1>(&state_); }
  Error&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }
  template <class U>
  T value_or(U&& fallback) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(fallback));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const noexcept {}
  Error& error() & noexcept { return *error_; }
  const Error& error() const& noexcept { return *error_; }
  Error&& error() && noexcept { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Time

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::sys_time<std::chrono::nanoseconds>;  // Unix time, UTC.

// Where time comes from. Only loops read it; everything else takes `TimePoint now` as an argument.
// Threads: now() from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const noexcept = 0;
};

// The system's clock made monotonic: wall time read once at construction plus the steady clock since, so that a step of
// the wall clock moves no timer and no two readings go backwards.
class SystemClock final : public Clock {
 public:
  SystemClock() noexcept;
  TimePoint now() const noexcept override;

 private:
  std::chrono::system_clock::time_point wall_;
  std::chrono::steady_clock::time_point steady_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Randomness

// xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Fast, repeatable, NOT for secrets.
// Threads: one owner. Satisfies std::uniform_random_bit_generator.
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed) noexcept;
  result_type operator()() noexcept;
  std::uint64_t below(std::uint64_t bound) noexcept;  // Uniform in [0, bound), without modulo bias; bound > 0.
  double unit() noexcept;                             // Uniform in [0, 1).
  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return ~result_type{0}; }

 private:
  std::array<std::uint64_t, 4> state_;
};

// A seed from the operating system, for programs that need no repeatability.
std::uint64_t system_seed() noexcept;

// ---------------------------------------------------------------------------------------------------------------------
// Ids

// 128 bits that sort by time: 48 bits of Unix milliseconds, then 80 random bits (the layout of ULID).
struct Id128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  // Random bits come from `random`, so that simulations repeat. Within one generator's millisecond no order is
  // promised.
  static Id128 make(TimePoint now, Random& random) noexcept;
  static std::optional<Id128> parse(std::string_view text) noexcept;  // Accepts what str() gives, in any letter case.
  std::string str() const;                                            // 26 characters of Crockford base32, lower case.
  auto operator<=>(const Id128&) const = default;
};

using MessageId = Id128;

// ---------------------------------------------------------------------------------------------------------------------
// Tasks

// std::move_only_function in small: owns any callable, moves only, calls once or often. Empty by default.
template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}  // NOLINT: implicit by design
  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> && std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
  UniqueFunction(F&& callable)  // NOLINT: implicit by design
      : callable_(std::make_unique<Holder<std::decay_t<F>>>(std::forward<F>(callable))) {}

  explicit operator bool() const noexcept { return callable_ != nullptr; }
  R operator()(Args... args) { return callable_->call(std::forward<Args>(args)...); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct Holder final : Base {
    explicit Holder(F given) : callable(std::move(given)) {}
    R call(Args... args) override { return callable(std::forward<Args>(args)...); }
    F callable;
  };
  std::unique_ptr<Base> callable_;
};

using Task = UniqueFunction<void()>;

// Somewhere tasks run. Threads: post() from any thread. Tasks must not throw.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(Task task) = 0;
};

// ---------------------------------------------------------------------------------------------------------------------
// Log

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

// Where the library's log lines go. The library is silent unless it is given one. Threads: write() from any thread,
// also at once; implementations lock. Addresses and keys are never logged above kDebug.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual LogLevel level() const noexcept { return LogLevel::kInfo; }  // Lines below it are not built.
  virtual void write(LogLevel level, std::string_view room, std::string_view line) noexcept = 0;
};

// ---------------------------------------------------------------------------------------------------------------------
// Version

std::string_view version() noexcept;  // "0.1.0"

}  // namespace mailsbuddy
