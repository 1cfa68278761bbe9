// engine_options.h - what mailsbuddy/_options.py and _listen.py hand over, as the structures of engine.h and smtp.h.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "bindings/python/src/listener_handle.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::python {

// Each takes a dict with the names of the C++ structure's fields, of which any may be absent; names that are no field
// are refused. Raise InvalidArgument naming the option.
EngineOptions to_engine_options(const pybind11::dict& given);   // Not yet with `spool` and `sinks`.
spool::RocksSpoolOptions to_spool_options(const pybind11::dict& given);
Campaign to_campaign(const pybind11::dict& given);
Message to_message(const pybind11::dict& given);
// Or text, as QueueFilter::parse() takes it.
QueueFilter to_queue_filter(const pybind11::object& given);
TraceFilter to_trace_filter(const pybind11::dict& given);
ListenerOptions to_listener_options(const pybind11::dict& given);
smtp::Identity to_identity(const pybind11::dict& given);
smtp::ListenTraceFilter to_listen_trace_filter(const pybind11::dict& given);

// An Address, or the text of one.
Address to_address(const pybind11::object& given);

}  // namespace mailsbuddy::python
