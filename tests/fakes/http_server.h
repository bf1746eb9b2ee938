// An HTTP server on a loopback address with its own thread. It answers each connection with the
// bytes configured for the path.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace palate::embedding {

// An HTTP response with this body.
inline std::string HttpAnswer(const std::string& body, const std::string& status = "200 OK",
                              const std::string& headers = "") {
  return absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Length: ", body.size(), "\r\n", headers,
                      "\r\n", body);
}

class HttpServer {
 public:
  // Complete responses by path; other paths get 404. `silent` is a path that gets no response.
  using Answers = std::map<std::string, std::string>;

  explicit HttpServer(Answers answers, std::string silent = "/silent")
      : answers_(std::move(answers)), silent_(std::move(silent)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    listen(listener_, 64);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }

  ~HttpServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (const int connection : silent_connections_) close(connection);
    close(listener_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  std::string host() const { return absl::StrCat("127.0.0.1:", port_); }
  std::string uri(const std::string& path) const { return absl::StrCat("http://", host(), path); }
  int connections() const { return connections_; }

 private:
  void Run() {
    while (true) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      ++connections_;
      Serve(connection);
    }
  }

  void Serve(int connection) {
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(connection, buffer, sizeof(buffer), 0);
      if (got <= 0) break;
      request.append(buffer, static_cast<size_t>(got));
    }

    const size_t begin = request.find(' ') + 1;
    const std::string path = request.substr(begin, request.find(' ', begin) - begin);
    if (path == silent_) {
      silent_connections_.push_back(connection);
      return;
    }
    const auto found = answers_.find(path);
    const std::string answer =
        found != answers_.end() ? found->second : HttpAnswer("no", "404 Not Found");

    for (size_t sent = 0; sent < answer.size();) {
      const ssize_t now =
          send(connection, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) break;
      sent += static_cast<size_t>(now);
    }
    close(connection);
  }

  const Answers answers_;
  const std::string silent_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::vector<int> silent_connections_;
  std::thread thread_;
};

}  // namespace palate::embedding
