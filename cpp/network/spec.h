// What Python sends: named values. A layer, loss or optimizer reads those it knows.
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "network/foreign.h"

namespace fallline {

class Spec {
 public:
  using Value = std::variant<double, std::string, std::vector<double>, std::shared_ptr<ForeignLayer>,
                             std::shared_ptr<ForeignLoss>>;

  void set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }
  bool has(const std::string& name) const { return values_.contains(name); }

  double number(const std::string& name) const { return get<double>(name, "a number"); }
  double number(const std::string& name, double otherwise) const { return has(name) ? number(name) : otherwise; }
  const std::string& text(const std::string& name) const { return get<std::string>(name, "a string"); }
  // A number counts as a list of one.
  std::vector<double> numbers(const std::string& name) const {
    if (has(name) && std::holds_alternative<double>(values_.at(name))) return {number(name)};
    return get<std::vector<double>>(name, "a list of numbers");
  }
  const std::shared_ptr<ForeignLayer>& foreign_layer() const {
    return get<std::shared_ptr<ForeignLayer>>("layer", "a layer");
  }
  const std::shared_ptr<ForeignLoss>& foreign_loss() const {
    return get<std::shared_ptr<ForeignLoss>>("loss", "a loss");
  }
  // One for each of the names, which end with nullptr.
  std::vector<double> numbers_of(const char* const* names, const std::string& operation) const {
    std::vector<double> all;
    for (const char* const* name = names; *name; ++name) {
      if (!has(*name)) {
        std::string expected = names[0];
        while (*++names) expected += std::string(", ") + *names;
        throw std::invalid_argument(operation + ": '" + text("name") + "' lacks " + *name + "; expected " + expected);
      }
      all.push_back(number(*name));
    }
    return all;
  }

 private:
  template <class V>
  const V& get(const std::string& name, const char* expected) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw std::invalid_argument("spec: " + name + " is missing; expected " + expected);
    if (const V* value = std::get_if<V>(&found->second)) return *value;
    throw std::invalid_argument("spec: " + name + " has another type; expected " + expected);
  }

  std::map<std::string, Value> values_;
};

}  // namespace fallline
