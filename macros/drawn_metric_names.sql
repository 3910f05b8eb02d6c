{# The metrics that a bootstrap draws: those that are sums and ranks, so that a weight for each customer is all they need. #}
{% macro drawn_metric_names() %}
    {{ return(['roc_auc', 'roc_auc_of_labels', 'pr_auc', 'log_loss', 'brier', 'accuracy']) }}
{% endmacro %}
