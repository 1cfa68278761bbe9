// mpsc_queue.h - an unbounded queue with many producers and one consumer, which takes everything there is at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace mailsbuddy {

// A stack (Treiber, 1986) of which the consumer takes the whole with one exchange and turns it round. A producer that
// the scheduler stops in the middle of push() delays nobody: behind a mutex it would stop the consumer, an event loop,
// and in a linked queue of Vyukov's it would hide whatever was pushed after it. Because single nodes are never popped
// there is no ABA. The price is an allocation per item and the turning, both small beside what the items do.
//
// Threads:    push() and empty() from any thread; drain() and the destructor from the consumer's alone.
// Invariants: items come out once each, in the order in which their push() took effect; so those of one producer are in
//             its order. When push() returns true somebody must see to it that drain() is called; when it returns false
//             somebody already was told, and drain() has not yet come so far.
template <class T>
class MpscQueue {
 public:
  MpscQueue() = default;
  ~MpscQueue() {
    drain([](T&&) {});
  }
  MpscQueue(const MpscQueue&) = delete;
  MpscQueue& operator=(const MpscQueue&) = delete;

  // True: the queue was empty, so the consumer may be asleep.
  bool push(T item) {
    Node* before = last_.load(std::memory_order_relaxed);
    auto* node = new Node{std::move(item), before};
    // Kept apart from node->next: once the exchange has succeeded the node is the consumer's, and may be gone.
    while (!last_.compare_exchange_weak(before, node, std::memory_order_release, std::memory_order_relaxed)) {
      node->next = before;
    }
    return before == nullptr;
  }

  // Calls take(T&&) for each item that was there at the call, and returns how many. What is pushed meanwhile, also by
  // `take`, waits for the next call, so that a busy producer cannot keep the consumer here.
  template <class Take>
  std::size_t drain(Take&& take) {
    Node* node = reversed(last_.exchange(nullptr, std::memory_order_acquire));
    std::size_t count = 0;
    for (; node != nullptr; ++count) {
      Node* next = node->next;
      take(std::move(node->item));
      delete node;
      node = next;
    }
    return count;
  }

  bool empty() const noexcept { return last_.load(std::memory_order_acquire) == nullptr; }

 private:
  struct Node {
    T item;
    Node* next;  // The one pushed before; after the turn, the one pushed after.
  };

  static Node* reversed(Node* node) noexcept {
    Node* first = nullptr;
    while (node != nullptr) {
      Node* before = std::exchange(node->next, first);
      first = std::exchange(node, before);
    }
    return first;
  }

  std::atomic<Node*> last_{nullptr};
};

}  // namespace mailsbuddy
