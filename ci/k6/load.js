// The demo's scenario: closed-loop users, a connection per request, each
// answer checked.
import http from 'k6/http';
import { check } from 'k6';

const seconds = Number(__ENV.SECONDS || 10);

export const options = {
  noConnectionReuse: __ENV.KEEP_ALIVE !== '1',
  scenarios: {
    warmup: { executor: 'constant-vus', vus: Number(__ENV.USERS || 20), duration: '2s', exec: 'request' },
    measured: {
      executor: 'constant-vus', vus: Number(__ENV.USERS || 20), duration: `${seconds}s`, startTime: '2s', exec: 'request',
      gracefulStop: '2s',
    },
  },
  // A threshold on a submetric is what makes k6 keep it apart.
  thresholds: Object.fromEntries(
    ['blocked', 'connecting', 'sending', 'waiting', 'receiving', 'duration'].map(
      (phase) => [`http_req_${phase}{scenario:measured}`, ['max>=0']],
    ),
  ),
  summaryTrendStats: ['med', 'p(95)', 'avg', 'count'],
};

export function request() {
  const answer = http.get(__ENV.URL);
  check(answer, { 'status is 200': (r) => r.status === 200, 'it is us': (r) => r.body.includes(__ENV.EXPECT) });
}

export function handleSummary(data) {
  return { stdout: JSON.stringify(data.metrics) };
}
