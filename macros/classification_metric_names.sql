{# The columns of classification_metrics, in the order in which people read them. #}
{% macro classification_metric_names() %}
    {{ return(['roc_auc', 'pr_auc', 'log_loss', 'brier', 'ece', 'accuracy', 'macro_f1', 'coverage', 'selective_accuracy']) }}
{% endmacro %}
